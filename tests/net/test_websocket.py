"""From an upgrade request to a link: what is agreed on, and frames compressed once for all."""

from __future__ import annotations

import zlib

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import lockstep_stream_pair

from gateway.config import Http
from gateway.delivery.timers import Wheel
from gateway.net.heads import parse_head
from gateway.net.http import Clock, HttpConnection
from gateway.net.multiplexer import Multiplexer
from gateway.net.websocket import WebSockets, _is_usual
from gateway.wire.frames import FrameReader
from gateway.wire.http import Response
from gateway.wire.prepared import join, prepare_binary, prepare_text
from tests.net.doors import upgrade
from tests.net.fakes import Frame, Pairs, Peer, Recorder, settle
from tests.wire.client import masked

DEFLATE = "permessage-deflate"


def websockets_on(multiplexer: Multiplexer, wheel: Wheel, *, deflate: bool) -> WebSockets:
    return WebSockets(
        multiplexer=multiplexer,
        wheel=wheel,
        message_bytes=1_000,
        fragments=1,
        close_s=1,
        write_s=1,
        deflate=deflate,
    )


def handshake(
    multiplexer: Multiplexer, wheel: Wheel, *, offer: str | None, deflate: bool = True
) -> tuple[str, bool]:
    """What the server answers to an offer of extensions: its header, and whether frames will be compressed."""
    websockets = websockets_on(multiplexer, wheel, deflate=deflate)
    sent = upgrade("/echo/") if offer is None else upgrade("/echo/", Sec_WebSocket_Extensions=offer)
    answer = websockets.handshake(parse_head(sent))
    assert not isinstance(answer, Response)
    lines = answer[0].decode().split("\r\n")
    header = [
        line.partition(": ")[2] for line in lines if line.lower().startswith("sec-websocket-extensions")
    ]
    return header[0] if header else "", answer[1]


KEYS = [
    "dGhlIHNhbXBsZSBub25jZQ==",
    "dGhlIHNhbXBsZSBub25jZR==",
    "c2hvcnQ=",
    "dGhlIHNhbXBsZSBub25jZQ",
    "é" * 22 + "==",
    "",
]
"""Two of sixteen bytes, one of them with bits to spare, and some that are no keys."""

USUAL = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEYS[0],
}

changes = st.fixed_dictionaries(
    {},
    optional={
        "Upgrade": st.sampled_from(["WebSocket", "websocket, h2c", None]),
        "Connection": st.sampled_from(["upgrade", "keep-alive, Upgrade", "Upgrade, Upgrade", None]),
        "Sec-WebSocket-Version": st.sampled_from(["8", "13, 8", "", None]),
        "Sec-WebSocket-Key": st.sampled_from([*KEYS, None]),
        "Sec-WebSocket-Extensions": st.just("x-webkit-deflate-frame"),
        "Sec-WebSocket-Protocol": st.sampled_from(["chat", ",,;"]),
        "Origin": st.sampled_from(["https://example.org", "null"]),
    },
).filter(lambda changed: len(changed) < 3)


class TestHandshake:
    """Most requests are answered in a way of their own, which must not be told from the library's."""

    @given(method=st.sampled_from(["GET", "POST"]), version=st.sampled_from(["1.1", "1.0"]), changed=changes)
    def test_the_short_way_and_the_long_way_agree(
        self, method: str, version: str, changed: dict[str, str | None]
    ) -> None:
        sent = {name: value for name, value in (USUAL | changed).items() if value is not None}
        head = b"".join([b"%b: %b\r\n" % (name.encode(), value.encode()) for name, value in sent.items()])
        parsed = parse_head(b"%b / HTTP/%b\r\nHost: x\r\n%b\r\n" % (method.encode(), version.encode(), head))
        wheel = Wheel()
        multiplexer = Multiplexer(wheel=wheel, close_s=1)
        short, long = (websockets_on(multiplexer, wheel, deflate=deflate) for deflate in (False, True))
        multiplexer.poller.close()
        assert _told(short.handshake(parsed)) == _told(long.handshake(parsed))

    def test_what_the_clients_send_takes_the_short_way(self) -> None:
        assert _is_usual(parse_head(upgrade("/echo/")))


def _told(answer: tuple[bytes, bool] | Response) -> object:
    """What a client makes of an answer."""
    if isinstance(answer, Response):
        return answer.status, answer.body
    status, *lines = answer[0].decode().split("\r\n")
    return status, {line for line in lines if not line.startswith(("Date:", "Server:"))}, answer[1]


class TestAnswering:
    async def begin(self, multiplexer: Multiplexer, wheel: Wheel, receiver: Recorder) -> None:
        """Send the 101 to a client that does not read."""
        server, _ = lockstep_stream_pair()
        connection = HttpConnection(
            server, settings=Http(), wheel=wheel, clock=Clock(), peer="", secure=True, cancel=lambda: None
        )
        websockets = websockets_on(multiplexer, wheel, deflate=False)
        await websockets.serve(connection, b"HTTP/1.1 101 ...", receiver, receiver.outbox, deflate=False)

    async def test_cancelled_while_the_answer_is_sent_the_receiver_is_told(
        self, multiplexer: Multiplexer, wheel: Wheel
    ) -> None:
        receiver = Recorder()
        with trio.move_on_after(5) as scope:
            await self.begin(multiplexer, wheel, receiver)
        assert scope.cancelled_caught
        assert receiver.reasons == ["transport error"]
        assert receiver.link is None


class TestCompression:
    async def test_it_is_agreed_on_without_memory_between_messages(
        self, multiplexer: Multiplexer, wheel: Wheel
    ) -> None:
        header, agreed = handshake(multiplexer, wheel, offer=f"{DEFLATE}; client_max_window_bits")
        assert agreed
        assert {part.strip() for part in header.split(";")} >= {
            DEFLATE,
            "server_no_context_takeover",
            "client_no_context_takeover",
        }

    @pytest.mark.parametrize(
        "offer",
        [None, "x-webkit-deflate-frame", f"{DEFLATE}; server_max_window_bits=10", f"{DEFLATE}; nonsense=1"],
    )
    async def test_what_cannot_be_shared_is_declined(
        self, multiplexer: Multiplexer, wheel: Wheel, offer: str | None
    ) -> None:
        assert handshake(multiplexer, wheel, offer=offer) == ("", False)

    async def test_it_is_off_when_the_settings_say_so(self, multiplexer: Multiplexer, wheel: Wheel) -> None:
        assert handshake(multiplexer, wheel, offer=DEFLATE, deflate=False) == ("", False)

    async def test_messages_are_compressed_and_control_frames_are_not(
        self, multiplexer: Multiplexer, pairs: Pairs
    ) -> None:
        receiver = Recorder()
        server, peer = pairs()
        link = multiplexer.adopt(
            server,
            reader=FrameReader(max_message=10_000, inflate=True),
            receiver=receiver,
            outbox=receiver.outbox,
            deflate=True,
            early=b"",
        )
        text = prepare_text(b'4["typing"]' * 50)
        receiver.outbox.put(join([text, prepare_binary(b"bytes" * 50)]))
        receiver.outbox.put(text)
        peer.send(masked(0x89, b"ping"))
        await settle()
        assert _frames(peer) == [
            (True, Frame(1, b'4["typing"]' * 50)),
            (True, Frame(2, b"bytes" * 50)),
            (True, Frame(1, b'4["typing"]' * 50)),
            (False, Frame(10, b"ping")),
        ]
        assert receiver.outbox.size == 0
        compressor = zlib.compressobj(wbits=-15)
        data = compressor.compress(b"hello" * 20) + compressor.flush(zlib.Z_SYNC_FLUSH)
        peer.send(masked(0xC1, data[:-4]))
        await settle()
        assert receiver.messages == ["hello" * 20]
        link.abort("done")

    def test_what_is_compressed_is_compressed_once_for_all(self) -> None:
        item = prepare_text(b"x" * 100)
        assert item.deflated is item.deflated


def _frames(peer: Peer) -> list[tuple[bool, Frame]]:
    """The short frames that are there, inflated, with whether they were compressed."""
    data, frames = peer.read(), []
    while data:
        opcode, length = data[0] & 0x0F, data[1]
        assert length < 126
        payload, data_after = data[2 : 2 + length], data[2 + length :]
        compressed = bool(data[0] & 0x40)
        if compressed:
            payload = zlib.decompressobj(wbits=-15).decompress(payload + b"\0\0\xff\xff")
        frames.append((compressed, Frame(opcode, payload)))
        data = data_after
    return frames
