"""RFC 6455 and RFC 7692, what a server sends: literal bytes, and what an independent client reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, TextMessage
from wsproto.extensions import PerMessageDeflate

from gateway.wire.frames import (
    BINARY,
    PING,
    PONG,
    TEXT,
    close_frame,
    deflated_frame,
    frame,
    payloads,
    text_frame,
)


class TestFrame:
    """Section 5.2; a server does not mask (5.1)."""

    def test_the_example_of_the_rfc(self) -> None:
        assert text_frame(b"Hello") == frame(TEXT, b"Hello") == b"\x81\x05Hello"

    def test_control_frames(self) -> None:
        assert frame(PING, b"Hello") == b"\x89\x05Hello"
        assert frame(PONG, b"") == b"\x8a\x00"

    @pytest.mark.parametrize(
        ("size", "head"),
        [
            (125, "827d"),
            (126, "827e007e"),
            (65_535, "827effff"),
            (65_536, "827f0000000000010000"),
        ],
    )
    def test_the_length_takes_its_shortest_form(self, size: int, head: str) -> None:
        assert frame(BINARY, b"x" * size) == bytes.fromhex(head) + b"x" * size


class TestCloseFrame:
    """Section 5.5.1."""

    def test_code_and_reason(self) -> None:
        assert close_frame(1000, "bye") == b"\x88\x05\x03\xe8bye"

    def test_no_code_is_an_empty_frame(self) -> None:
        assert close_frame(None, "nowhere to put it") == b"\x88\x00"

    def test_a_long_reason_is_cut_between_characters(self) -> None:
        assert close_frame(1000, "x" * 200) == b"\x88\x7d\x03\xe8" + b"x" * 123
        assert close_frame(1000, "ä" * 100) == b"\x88\x7c\x03\xe8" + "ä".encode() * 61
        assert close_frame(1000, "\U0001f642" * 100) == b"\x88\x7a\x03\xe8" + "\U0001f642".encode() * 30

    @given(code=st.integers(3000, 4999), reason=st.text())
    def test_any_reason_can_be_read_by_a_client(self, code: int, reason: str) -> None:
        client = Connection(ConnectionType.CLIENT)
        client.receive_data(close_frame(code, reason))
        (event,) = client.events()
        assert isinstance(event, CloseConnection)
        assert event.code == code
        assert reason.encode("utf-8", "replace").decode().startswith(event.reason or "")


class TestDeflatedFrame:
    """RFC 7692."""

    def test_an_empty_message_is_one_empty_block(self) -> None:
        assert deflated_frame(TEXT, b"") == b"\xc1\x01\x00"  # 7.2.3.6

    def test_the_same_message_is_the_same_bytes_for_everyone(self) -> None:
        assert deflated_frame(TEXT, b"Hello" * 50) == deflated_frame(TEXT, b"Hello" * 50)
        assert len(deflated_frame(TEXT, b"Hello" * 50)) < 25

    @given(st.lists(st.binary(max_size=500), min_size=1))
    def test_a_client_reads_one_after_the_other(self, payloads: list[bytes]) -> None:
        deflate = PerMessageDeflate(server_no_context_takeover=True)
        deflate.finalize("permessage-deflate; server_no_context_takeover")
        client = Connection(ConnectionType.CLIENT, [deflate])
        client.receive_data(b"".join([deflated_frame(BINARY, payload) for payload in payloads]))
        events = list(client.events())
        assert all(isinstance(event, BytesMessage) and event.message_finished for event in events)
        assert [bytes(event.data) for event in events if isinstance(event, BytesMessage)] == payloads


@given(st.lists(st.one_of(st.text(max_size=300), st.binary(max_size=300))))
def test_a_client_reads_what_is_written(messages: list[str | bytes]) -> None:
    client = Connection(ConnectionType.CLIENT)
    for message in messages:
        client.receive_data(
            text_frame(message.encode()) if isinstance(message, str) else frame(BINARY, message)
        )
    events = [event for event in client.events() if isinstance(event, TextMessage | BytesMessage)]
    assert [
        event.data if isinstance(event, TextMessage) else bytes(event.data) for event in events
    ] == messages


sizes = st.one_of(st.integers(0, 200), st.sampled_from((65_535, 65_536)))


@given(st.lists(st.tuples(st.sampled_from((TEXT, BINARY, PING)), sizes), max_size=5))
def test_what_was_framed_can_be_taken_apart(script: list[tuple[int, int]]) -> None:
    written = [(opcode, b"x" * size) for opcode, size in script]
    assert payloads(b"".join([frame(opcode, payload) for opcode, payload in written])) == written
