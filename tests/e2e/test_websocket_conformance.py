"""Appendix C, WebSocket (RFC 6455), on a bare echo and on the gateway: more ways than Autobahn's cases try."""

from __future__ import annotations

import contextlib
import threading
import zlib
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Peers, conformance
from tests.support.engine import Peer, next_packet
from tests.support.raw import BINARY, CLOSE, PING, PONG, TEXT, Closed, Connection, Frame, WebSocket, frame

LIMIT = 16 * 1024 * 1024


@pytest.fixture
def socket(peers: Peers) -> Iterator[WebSocket]:
    """A WebSocket that sends each message back."""
    socket = WebSocket(Connection(peers["engine.io echo"].url), "/echo")
    yield socket
    socket.close()


@pytest.fixture(params=["echo", "gateway"])
def strict(request: pytest.FixtureRequest, peers: Peers) -> Iterator[WebSocket]:
    """A WebSocket of each kind, for what ends it."""
    if request.param == "echo":
        socket = WebSocket(Connection(peers["engine.io echo"].url), "/echo")
    else:
        socket = peers["gateway"].connected_websocket()
    yield socket
    socket.close()


def ends_with(socket: WebSocket, code: int | None) -> None:
    """The server's next close frame has this code, and then it ends the connection."""
    assert socket.close_frame().code == code
    socket.wait_closed()


class TestMessages:
    @pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000])
    def test_every_form_of_a_length_is_read_and_written(self, socket: WebSocket, size: int) -> None:
        socket.send("x" * size)
        assert socket.receive() == "x" * size
        socket.send(b"\xff" * size)
        assert socket.receive() == b"\xff" * size

    def test_a_message_of_exactly_the_limit_comes_back_and_one_more_byte_is_1009(
        self, socket: WebSocket
    ) -> None:
        sending = threading.Thread(target=socket.send, args=(b"x" * LIMIT,))
        sending.start()
        received = socket.receive()
        sending.join()
        assert received == b"x" * LIMIT

        # The length alone decides: nothing of it needs to be sent.
        socket.connection.send(bytes([0x82, 0xFF]) + (LIMIT + 1).to_bytes(8) + b"mask")
        ends_with(socket, 1009)

    def test_65_536_fragments_are_taken_and_one_more_is_not(self, peers: Peers) -> None:
        for count, taken in ((65_536, True), (65_537, False)):
            socket = WebSocket(Connection(peers["engine.io echo"].url), "/echo")
            fragments = (
                frame(TEXT, b"x", fin=False) + frame(0, b"x", fin=False) * (count - 2) + frame(0, b"x")
            )
            sending = threading.Thread(target=_send_what_is_taken, args=(socket, fragments))
            sending.start()
            if taken:
                assert socket.receive() == "x" * count
            else:
                assert socket.close_frame().code in {1008, 1009}
            sending.join()
            socket.close()

    def test_messages_split_at_every_byte_of_the_stream_are_whole(self, socket: WebSocket) -> None:
        stream = frame(TEXT, "grüße".encode()) + frame(PING, b"p") + frame(BINARY, b"\0" * 200)

        for byte in stream:
            socket.connection.send(bytes([byte]))

        assert socket.receive_frame() == Frame(TEXT, "grüße".encode())
        assert socket.receive_frame() == Frame(PONG, b"p")
        assert socket.receive_frame() == Frame(BINARY, b"\0" * 200)

    def test_control_frames_may_lie_between_fragments(self, socket: WebSocket) -> None:
        socket.send_frame(TEXT, b"he", fin=False)
        socket.send_frame(PING, b"one")
        socket.send_frame(0, b"ll", fin=False)
        socket.send_frame(PONG, b"unasked")
        socket.send_frame(0, b"o")

        assert socket.receive_frame() == Frame(PONG, b"one")
        assert socket.receive_frame() == Frame(TEXT, b"hello")

    def test_a_character_may_be_split_over_fragments(self, socket: WebSocket) -> None:
        data = "😀".encode()

        socket.send_frame(TEXT, data[:1], fin=False)
        socket.send_frame(0, data[1:3], fin=False)
        socket.send_frame(0, data[3:])

        assert socket.receive() == "😀"

    def test_a_ping_is_answered_with_its_own_payload_and_a_pong_with_nothing(self, strict: WebSocket) -> None:
        strict.send_frame(PONG, b"unasked")
        strict.send_frame(PING, b"x" * 125)

        while (got := strict.receive_frame()).opcode == TEXT:
            pass
        assert got == Frame(PONG, b"x" * 125)


def _send_what_is_taken(socket: WebSocket, data: bytes) -> None:
    with contextlib.suppress(OSError):  # closed meanwhile, as it may be
        socket.connection.send(data)


VIOLATIONS = {
    "unmasked frame": frame(TEXT, b"2", masked=False),
    "reserved bit 1": frame(TEXT, b"2", rsv=4),
    "reserved bit 2": frame(TEXT, b"2", rsv=2),
    "reserved bit 3": frame(TEXT, b"2", rsv=1),
    "reserved bit on a control frame": frame(PING, rsv=4),
    "reserved data opcode": frame(0x3, b"2"),
    "reserved control opcode": frame(0xB),
    "control frame of 126 bytes": frame(PING, b"x" * 126),
    "control frame in fragments": frame(PING, b"x", fin=False),
    "continuation of nothing": frame(0, b"2"),
    "new message inside a message": frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"),
    "close frame of one byte": frame(CLOSE, b"\x03"),
    "length in 64 bits with the top bit": bytes([0x82, 0xFF]) + b"\xff" * 8 + b"mask",
}


class TestViolations:
    @pytest.mark.parametrize("what", VIOLATIONS)
    def test_a_violation_is_closed_with_1002(self, strict: WebSocket, what: str) -> None:
        strict.connection.send(VIOLATIONS[what])

        code = strict.close_frame().code
        assert code == 1002 or (what == "length in 64 bits with the top bit" and code == 1009)
        strict.wait_closed()

    @pytest.mark.parametrize(
        "pieces",
        [
            [b"\xff"],
            [b"ok", b"\xc3"],
            [b"\xed\xa0\x80"],
            [b"\xf4\x90\x80\x80"],
            [b"\xc0\xaf"],
            [b"\xe2\x82", b"\x28"],
        ],
        ids=["invalid byte", "cut off", "surrogate", "beyond unicode", "overlong", "broken across fragments"],
    )
    def test_text_that_is_not_utf_8_is_closed_with_1007(self, strict: WebSocket, pieces: list[bytes]) -> None:
        for number, piece in enumerate(pieces):
            strict.send_frame(TEXT if number == 0 else 0, piece, fin=number == len(pieces) - 1)

        ends_with(strict, 1007)


class TestClosing:
    @pytest.mark.parametrize(
        "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999]
    )
    def test_a_valid_code_is_echoed(self, strict: WebSocket, code: int) -> None:
        strict.send_frame(CLOSE, code.to_bytes(2) + "grüße".encode())

        ends_with(strict, code)

    @pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
    def test_an_invalid_code_is_answered_with_1002(self, strict: WebSocket, code: int) -> None:
        strict.send_frame(CLOSE, code.to_bytes(2))

        ends_with(strict, 1002)

    def test_a_close_without_a_code_is_answered_without_one(self, strict: WebSocket) -> None:
        strict.send_frame(CLOSE)

        ends_with(strict, None)

    def test_a_reason_that_is_not_utf_8_is_refused(self, strict: WebSocket) -> None:
        strict.send_frame(CLOSE, (1000).to_bytes(2) + b"\xff")

        assert strict.close_frame().code in {1002, 1007}
        strict.wait_closed()

    def test_what_follows_a_close_is_not_read(self, socket: WebSocket) -> None:
        socket.connection.send(
            frame(TEXT, b"before") + frame(CLOSE, (1000).to_bytes(2)) + frame(TEXT, b"after")
        )

        assert socket.receive() == "before"
        ends_with(socket, 1000)

    def test_the_server_ends_the_connection_and_does_not_wait_for_the_client(self, strict: WebSocket) -> None:
        """RFC 6455 7.1.1: otherwise the client's side is left waiting."""
        strict.send_frame(CLOSE, (1000).to_bytes(2))

        strict.close_frame()
        with pytest.raises(Closed):
            strict.receive_frame()


def test_an_event_split_into_fragments_is_an_event_to_the_gateway(peers: Peers) -> None:
    gateway = peers["gateway"]
    socket, _ = gateway.open_websocket()
    data = gateway.connect.encode()

    for start in range(0, len(data), 50):
        last = start + 50 >= len(data)
        socket.send_frame(TEXT if start == 0 else 0, data[start : start + 50], fin=last)

    assert next_packet(socket).startswith('40{"sid":')
    socket.close()


@pytest.fixture(scope="module")
def deflating() -> Iterator[Peer]:
    """A conformance server that negotiates permessage-deflate."""
    process = conformance("--deflate", "--ping-interval-ms", "25000")
    yield Peer(url=process.wait_for_line(r"listening on (\S+)")[1], path="/engine.io/")
    process.kill()


OFFER = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}


class TestCompression:
    def test_it_is_used_when_both_sides_want_it(self, deflating: Peer) -> None:
        socket = WebSocket(Connection(deflating.url), "/echo", headers=OFFER)
        assert socket.handshake.headers["sec-websocket-extensions"].startswith("permessage-deflate")
        text = b"again and again " * 1_000

        deflater = zlib.compressobj(wbits=-15)
        packed = deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH)
        socket.send_frame(TEXT, packed[:-4], rsv=4)
        got = socket.receive_frame()

        assert got.rsv == 4
        assert len(got.payload) < len(text) / 10
        assert zlib.decompressobj(wbits=-15).decompress(got.payload + b"\0\0\xff\xff") == text
        socket.close()

    def test_a_client_that_does_not_offer_it_is_served_without(self, deflating: Peer) -> None:
        socket = WebSocket(Connection(deflating.url), "/echo")

        socket.send("plain")

        assert socket.receive_frame() == Frame(TEXT, b"plain")
        assert "sec-websocket-extensions" not in socket.handshake.headers
        socket.close()

    def test_a_server_that_does_not_want_it_ignores_the_offer(self, peers: Peers) -> None:
        socket = WebSocket(
            Connection(peers["gateway"].url), peers["gateway"].target("websocket"), headers=OFFER
        )

        assert "sec-websocket-extensions" not in socket.handshake.headers
        assert socket.receive_frame().rsv == 0
        socket.close()

    def test_a_small_message_that_inflates_beyond_the_limit_is_1009(self, deflating: Peer) -> None:
        socket = WebSocket(Connection(deflating.url), "/echo", headers=OFFER)
        deflater = zlib.compressobj(wbits=-15)
        bomb = deflater.compress(b"\0" * (LIMIT + 1)) + deflater.flush(zlib.Z_SYNC_FLUSH)

        socket.send_frame(BINARY, bomb[:-4], rsv=4)

        assert len(bomb) < 20_000
        assert socket.close_frame().code == 1009
        socket.close()

    def test_data_that_is_not_deflate_is_a_violation(self, deflating: Peer) -> None:
        socket = WebSocket(Connection(deflating.url), "/echo", headers=OFFER)

        socket.send_frame(TEXT, b"\xff\xff\xff\xff", rsv=4)

        assert socket.close_frame().code in {1002, 1007}
        socket.close()
