"""Stand-ins for the two ends of net/: who receives what a client sends, and the client itself, down to its bytes."""

from __future__ import annotations

import socket
from collections.abc import Callable

import msgspec
from trio.testing import wait_all_tasks_blocked

from gateway.delivery.outbox import Outbox
from gateway.net.links import Link
from gateway.net.multiplexer import Multiplexed, Multiplexer
from gateway.net.ports import Receiver
from gateway.wire.frames import FrameReader
from tests.wire.client import masked

settle = wait_all_tasks_blocked
"""Let everything run that can, without the clock moving on."""

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


class Frame(msgspec.Struct, frozen=True):
    """A WebSocket frame of the server."""

    opcode: int
    payload: bytes

    @property
    def code(self) -> int | None:
        """Of a close frame."""
        return int.from_bytes(self.payload[:2], "big") if len(self.payload) >= 2 else None


def parse_frames(data: bytes) -> list[Frame]:
    """Whole frames of a server; anything less, or masked, is an error."""
    frames = []
    while data:
        first, length = data[0], data[1]
        assert first & 0x80, "a server sends every message in one frame"
        assert length < 0x80, "a server does not mask"
        start = 2
        if length == 126:
            length, start = int.from_bytes(data[2:4], "big"), 4
        elif length == 127:
            length, start = int.from_bytes(data[2:10], "big"), 10
        assert len(data) >= start + length, "the last frame is not whole"
        frames.append(Frame(first & 0x0F, data[start : start + length]))
        data = data[start + length :]
    return frames


class Peer:
    """The client's end of a socket: sends and reads what is there, never waits."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.ended = False

    def send(self, data: bytes) -> None:
        assert self.sock.send(data) == len(data)

    def read(self, most: int = 1 << 30) -> bytes:
        """Everything that is there, up to ``most`` bytes; sets ``ended`` at the end of the stream."""
        pieces = []
        while most > 0:
            try:
                data = self.sock.recv(min(most, 1 << 20))
            except BlockingIOError:
                break
            except ConnectionError:
                data = b""
            if not data:
                self.ended = True
                break
            pieces.append(data)
            most -= len(data)
        return b"".join(pieces)

    def frames(self) -> list[Frame]:
        return parse_frames(self.read())

    def texts(self) -> list[str]:
        """The messages that are there; a control frame among them is an error."""
        frames = self.frames()
        assert all(frame.opcode == TEXT for frame in frames), frames
        return [frame.payload.decode() for frame in frames]

    def close(self) -> None:
        self.sock.close()


class Pairs:
    """Makes connections, and closes both ends when the test is over."""

    def __init__(self) -> None:
        self._ends: list[socket.socket] = []

    def __call__(self, *, buffer_bytes: int | None = None) -> tuple[socket.socket, Peer]:
        """Two ends of one connection, both non-blocking: the server's, and the client's as a ``Peer``.

        Args:
            buffer_bytes: what the kernel takes from the server, about, when the client does not read.
        """
        server, client = socket.socketpair()
        if buffer_bytes is not None:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        server.setblocking(False)
        self._ends += [server, client]
        return server, Peer(client)

    def close(self) -> None:
        for end in self._ends:
            end.close()


class Recorder:
    """A receiver that keeps what it is told.

    Attributes:
        on_message: called with each message after it was recorded, for receivers that do something.
    """

    def __init__(self, *, limit_bytes: int = 1_000_000) -> None:
        self.outbox = Outbox(limit_bytes, self)
        self.messages: list[str | bytes] = []
        self.reasons: list[str] = []
        self.overflows = 0
        self.on_message: Callable[[str | bytes], None] = lambda message: None
        self.link: Link | None = None

    def attached(self, link: Link) -> None:
        self.link = link
        self.outbox.carrier = link

    def text(self, message: str) -> None:
        self.messages.append(message)
        self.on_message(message)

    def binary(self, message: bytes) -> None:
        self.messages.append(message)
        self.on_message(message)

    def lost(self, reason: str) -> None:
        self.reasons.append(reason)

    def overflow(self) -> None:
        self.overflows += 1
        assert self.link is not None
        self.link.abort("slow consumer")


class Adopter:
    """Puts new connections on a multiplexer."""

    def __init__(self, multiplexer: Multiplexer, pairs: Pairs) -> None:
        self._multiplexer = multiplexer
        self._pairs = pairs

    def __call__(
        self, receiver: Receiver, *, buffer_bytes: int | None = None, early: bytes = b""
    ) -> tuple[Multiplexed, Peer]:
        server, peer = self._pairs(buffer_bytes=buffer_bytes)
        link = self._multiplexer.adopt(
            server,
            reader=FrameReader(max_message=1_000_000),
            receiver=receiver,
            outbox=receiver.outbox,
            deflate=False,
            early=early,
        )
        return link, peer


def text(message: str) -> bytes:
    """A client's text message."""
    return masked(0x81, message.encode())


def close(code: int) -> bytes:
    """A client's close frame."""
    return masked(0x88, code.to_bytes(2, "big"))
