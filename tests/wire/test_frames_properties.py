"""What holds for any bytes: how they are cut does not matter, nothing raises, and an independent client is understood."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, Event, TextMessage
from wsproto.events import Ping as WsprotoPing

from gateway.wire.frames import Close, Failure, Item, Ping, Pong
from tests.wire.client import read
from tests.wire.streams import LIMIT, chunks, cut, streams


@given(pieces=chunks, cuts=st.lists(st.integers(0, 2_000)), inflate=st.booleans())
def test_any_bytes_cut_anyhow_give_the_same_items(
    pieces: list[bytes], cuts: list[int], inflate: bool
) -> None:
    data = b"".join(pieces)
    whole = read(data, max_message=LIMIT, max_fragments=3, inflate=inflate)
    assert read(*pieces, max_message=LIMIT, max_fragments=3, inflate=inflate) == whole
    assert read(*cut(data, cuts), max_message=LIMIT, max_fragments=3, inflate=inflate) == whole
    assert (
        read(*cut(data, list(range(len(data)))), max_message=LIMIT, max_fragments=3, inflate=inflate) == whole
    )


@given(data=streams, inflate=st.booleans())
def test_an_end_is_the_last_item_and_has_a_name(data: bytes, inflate: bool) -> None:
    items = read(data, max_message=LIMIT, max_fragments=3, inflate=inflate)
    for item in items[:-1]:
        assert isinstance(item, str | bytes | Ping | Pong)
    if items and isinstance(items[-1], Failure):
        assert items[-1].code in (1002, 1007, 1009)
        assert items[-1].reason
    for item in items:
        if isinstance(item, str | bytes):
            assert len(item) <= LIMIT
        elif isinstance(item, Ping | Pong):
            assert len(item.payload) <= 125


@given(data=streams, late=streams, inflate=st.booleans())
def test_nothing_is_read_after_an_end(data: bytes, late: bytes, inflate: bool) -> None:
    items = read(data, max_message=LIMIT, inflate=inflate)
    if items and isinstance(items[-1], Close | Failure):
        assert read(data, late, max_message=LIMIT, inflate=inflate) == items


messages = st.one_of(st.text(), st.binary(), st.integers(0, 70_000).map(lambda size: b"\xf0" * size))


@given(
    script=st.lists(st.tuples(messages, st.lists(st.integers(0, 70_000), max_size=3), st.booleans())),
    cuts=st.lists(st.integers(0, 300_000)),
)
def test_what_websockets_sends_is_understood(
    script: list[tuple[str | bytes, list[int], bool]], cuts: list[int]
) -> None:
    """Each message in fragments cut anywhere, with a ping before its last one if the script says so."""
    sent, expected = b"", list[Item]()
    for message, positions, ping in script:
        opcode = Opcode.TEXT if isinstance(message, str) else Opcode.BINARY
        parts = cut(message.encode() if isinstance(message, str) else message, positions)
        for part in parts[:-1]:
            sent += Frame(opcode, part, fin=False).serialize(mask=True)
            opcode = Opcode.CONT
        if ping:
            sent += Frame(Opcode.PING, b"?").serialize(mask=True)
            expected.append(Ping(b"?"))
        sent += Frame(opcode, parts[-1]).serialize(mask=True)
        expected.append(message)
    assert read(sent) == read(*cut(sent, cuts)) == expected


@given(st.lists(st.one_of(st.text(), st.binary(), st.binary(max_size=125).map(Ping))))
def test_what_wsproto_sends_is_understood(items: list[str | bytes | Ping]) -> None:
    client = Connection(ConnectionType.CLIENT)

    def event(item: str | bytes | Ping) -> Event:
        if isinstance(item, Ping):
            return WsprotoPing(payload=item.payload)
        return TextMessage(data=item) if isinstance(item, str) else BytesMessage(data=item)

    assert read(b"".join([client.send(event(item)) for item in items])) == items
