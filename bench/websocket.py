"""WebSocket clients on the driver's loop, made by hand: 10 000 of them in one process, a microsecond per message.

Only what a measurement needs: a client handshake, a script of frames to send and answers to wait for, pongs, and counting
the frames that begin with a marker. Payloads are not decoded.
"""

from __future__ import annotations

import base64
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bench.loop import LOCAL, BenchError, Loop, connect, send_all

Step: TypeAlias = tuple[bytes, bytes]

_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA


def frame(payload: bytes, opcode: int = _TEXT) -> bytes:
    """One masked frame (RFC 6455, 5.2)."""
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else bytes((0x80 | 126,)) + size.to_bytes(2, "big")
    key = os.urandom(4)
    mask = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return (
        bytes((0x80 | opcode,)) + length + key + (int.from_bytes(payload, "big") ^ mask).to_bytes(size, "big")
    )


@dataclass(frozen=True, slots=True)
class Handshake:
    """How one client comes in.

    Attributes:
        path: target of the upgrade request.
        first: beginning of the frame the server speaks first with.
        steps: what to send then, each with the beginning of the answer that must come before the next.
    """

    path: str
    first: bytes
    steps: tuple[Step, ...] = ()


def socketio(connect_payload: bytes, *steps: Step) -> Handshake:
    """The handshake of a Socket.IO client over a direct WebSocket (Engine.IO 4, Socket.IO 5)."""
    return Handshake(
        "/socket.io/?EIO=4&transport=websocket", b"0{", ((b"40" + connect_payload, b"40"), *steps)
    )


class Client:
    """One connected client.

    Attributes:
        number: its place in the crowd.
        seen: how many marked frames it has received.
        welcome: the answer to its CONNECT.
    """

    __slots__ = ("_awaited", "_crowd", "_in_head", "_rest", "_sock", "_steps", "number", "seen", "welcome")

    def __init__(
        self, crowd: Crowd, number: int, port: int, handshake: Handshake, sock: socket.socket | None = None
    ) -> None:
        """
        Args:
            sock: connected already; None to connect now.
        """
        self.number = number
        self.seen = 0
        self.welcome = b""
        self._crowd = crowd
        self._rest = b""
        self._in_head = True
        self._steps = iter(handshake.steps)
        self._awaited: bytes | None = handshake.first
        self._sock: socket.socket = sock or connect(port, number, host=crowd.host)
        crowd.loop.watch(self._sock, self._on_readable)
        key = base64.b64encode(os.urandom(16)).decode()
        self.send(
            f"GET {handshake.path} HTTP/1.1\r\nHost: {crowd.host}:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    @property
    def is_in(self) -> bool:
        """Whether it is through its handshake."""
        return self._awaited is None

    def send(self, data: bytes) -> None:
        """Send bytes that are frames already."""
        send_all(self._sock, data)

    def acknowledge_when_read(self) -> None:
        """Have what comes acknowledged when it is read, until something is sent again.

        After its handshake a socket may, for life, do that in the middle of every second send of the server's instead, on
        the server's core and for 1.5 us a delivery ("pingpong" mode, which ends when an acknowledgment has once been put
        off for long enough): it depends on how many bytes the server's last word happened to have. So it would be by
        chance, for each process another, what is measured with it.
        """
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def close(self) -> None:
        self._crowd.loop.forget(self._sock)

    def _on_readable(self) -> None:
        try:
            data = self._sock.recv(65_536)
        except ConnectionError:
            data = b""
        if not data:
            self._crowd.on_lost(self, "the server closed a WebSocket")
            return
        if self._rest:
            data = self._rest + data
        position = self._skip_head(data) if self._in_head else 0
        end = len(data)
        marker = self._crowd.marker
        on_payload = self._crowd.on_payload
        hits = 0
        while end - position >= 2:
            size = data[position + 1]
            start = position + 2
            if size == 126:
                start = position + 4
                size = int.from_bytes(data[position + 2 : start], "big")
            elif size == 127:
                start = position + 10
                size = int.from_bytes(data[position + 2 : start], "big")
            stop = start + size
            if stop > end or start > end:
                break
            if data.startswith(marker, start):
                hits += 1
                if on_payload is not None:
                    on_payload(self, data[start:stop])
            else:
                self._aside(data[position] & 0xF, data[start:stop])
            position = stop
        self._rest = data[position:]
        if hits:
            self.seen += hits
            self._crowd.on_hits(self, hits)

    def _skip_head(self, data: bytes) -> int:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return 0
        if not data.startswith(b"HTTP/1.1 101 "):
            raise BenchError(f"no WebSocket: {data[:200]!r}")
        self._in_head = False
        return end + 4

    def _aside(self, opcode: int, payload: bytes) -> None:
        """A frame that is not counted: a ping, the next answer of the handshake, or news of no interest."""
        if payload == b"2":
            self.send(frame(b"3"))
        elif opcode == _PING:
            self.send(frame(payload, _PONG))
        elif opcode == _CLOSE:
            self._crowd.on_lost(self, f"the server closed a WebSocket: {payload!r}")
        elif payload.startswith((b"44", b'42["error"')):
            raise BenchError(f"refused: {payload[:200]!r}")
        elif self._awaited is not None and payload.startswith(self._awaited):
            if payload.startswith(b"40"):
                self.welcome = payload
            step = next(self._steps, None)
            if step is None:
                self._awaited = None
                self._crowd.opened += 1
            else:
                self._awaited = step[1]
                self.send(frame(step[0]))


def fail(client: Client, why: str) -> None:
    """What a bench does when it loses a client: its figures would be those of another crowd."""
    raise BenchError(f"client {client.number}: {why}")


class Crowd:
    """Many clients of one server.

    Attributes:
        marker: beginning of the payloads that count.
        on_hits: called with a client and how many counted frames one read brought.
        on_payload: called with a client and each payload that counts; by whoever wants to look into them.
        on_lost: called with a client that the server has closed, and what it said; it may close the client, and
            raises unless it is told otherwise.
        opened: how many clients are through their handshake.
    """

    def __init__(
        self,
        loop: Loop,
        *,
        marker: bytes,
        on_hits: Callable[[Client, int], None],
        on_payload: Callable[[Client, bytes], None] | None = None,
        on_lost: Callable[[Client, str], None] = fail,
        host: str = LOCAL,
    ) -> None:
        self.loop = loop
        self.marker = marker
        self.on_hits = on_hits
        self.on_payload = on_payload
        self.on_lost = on_lost
        self.host = host
        self.opened = 0
        self.clients: list[Client] = []

    def open(self, port: int, handshakes: Sequence[Handshake], *, window: int = 128) -> None:
        """Bring all clients in, ``window`` at a time, and wait until nothing more arrives.

        Raises:
            BenchError: the server refused one, or stopped answering.
        """
        waiting = deque(enumerate(handshakes, start=len(self.clients)))
        while waiting:
            while waiting and len(self.clients) - self.opened < window:
                number, handshake = waiting.popleft()
                self.clients.append(Client(self, number, port, handshake))
            before = self.opened
            self.loop.until(
                lambda before=before: self.opened > before,  # type: ignore[misc]
                within_s=30,
                what=f"handshakes ({self.opened} of {len(self.clients) + len(waiting)} done)",
            )
        total = len(self.clients)
        self.loop.until(lambda: self.opened == total, within_s=60, what="the last handshakes")
        self.loop.quiet(for_s=0.2, within_s=60)
        for client in self.clients:
            client.acknowledge_when_read()

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.clients.clear()
