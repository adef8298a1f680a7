"""Bytes on a socket: HTTP/1.1 and WebSocket by hand, for what no well-behaved client would send."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tests.support.inbox import PATIENCE_S

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


class Answer(msgspec.Struct, frozen=True):
    """One HTTP response; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class Closed(Exception):
    """The server ended the connection; ``seen`` is what had come of the next thing."""

    def __init__(self, seen: bytes) -> None:
        super().__init__(f"closed after {seen[:200]!r}")
        self.seen = seen


class Connection:
    """One TCP (or TLS) connection. Reading waits at most ``PATIENCE_S``, then raises ``TimeoutError``.

    Args:
        receive_bytes: bounds the kernel's receive buffer, for a client that is to fall behind soon.
    """

    def __init__(
        self, url: str, *, tls: ssl.SSLContext | None = None, receive_bytes: int | None = None
    ) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        address = (parts.hostname, parts.port)
        self._socket = socket.socket()
        try:
            if receive_bytes is not None:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            self._socket.settimeout(PATIENCE_S)
            self._socket.connect(address)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                self._socket = tls.wrap_socket(self._socket, server_hostname=parts.hostname)
        except BaseException:
            self._socket.close()
            raise
        self._received = b""

    def __del__(self) -> None:
        # A test that failed before its close() has one thing to say, and it is not that.
        self._socket.close()

    def close(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        """Vanish with a RST instead of a FIN."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def request(
        self, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> None:
        """Send a well-formed request without waiting for its answer."""
        self.send(
            self.head(method, target, headers=headers, length=None if body is None else len(body))
            + (body or b"")
        )

    def head(
        self, method: str, target: str, *, headers: Mapping[str, str] | None = None, length: int | None = None
    ) -> bytes:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def ask(
        self, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        self.request(method, target, headers=headers, body=body)
        return self.answer(head_only=method == "HEAD")

    def answer(self, *, head_only: bool = False) -> Answer:
        """The next response, framed as RFC 9112 says and not a byte further.

        Raises:
            Closed: the connection ended before one was complete.
        """
        head = self.until(b"\r\n\r\n")
        status_line, *lines = head[:-4].decode("latin-1").split("\r\n")
        version, status, _ = status_line.split(" ", 2)
        assert version == "HTTP/1.1", status_line
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            assert name.lower() not in headers or name.lower() == "vary", f"{name} twice: {head!r}"
            headers[name.lower()] = value.strip()
        code = int(status)
        if head_only or code in (101, 204, 304) or code < 200:
            return Answer(code, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            return Answer(code, headers, b"".join(self._chunks()))
        if "content-length" in headers:
            return Answer(code, headers, self.exactly(int(headers["content-length"])))
        return Answer(code, headers, self.rest())

    def until(self, mark: bytes) -> bytes:
        while mark not in self._received:
            self._receive()
        end = self._received.index(mark) + len(mark)
        taken, self._received = self._received[:end], self._received[end:]
        return taken

    def exactly(self, count: int) -> bytes:
        while len(self._received) < count:
            self._receive()
        taken, self._received = self._received[:count], self._received[count:]
        return taken

    def rest(self) -> bytes:
        """Everything up to the end of the connection, which must come: an orderly one or a reset."""
        with contextlib.suppress(Closed):
            while True:
                self._receive()
        taken, self._received = self._received, b""
        return taken

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.until(b"\r\n").split(b";")[0], 16):
            yield self.exactly(size)
            assert self.exactly(2) == b"\r\n"
        while self.until(b"\r\n") != b"\r\n":
            pass

    def _receive(self) -> None:
        try:
            data = self._socket.recv(1 << 20)
        except ConnectionError:
            data = b""
        if not data:
            raise Closed(self._received)
        self._received += data


class Frame(msgspec.Struct, frozen=True):
    """A WebSocket frame of the server; ``code`` is a close frame's."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0

    @property
    def code(self) -> int | None:
        return int.from_bytes(self.payload[:2]) if len(self.payload) >= 2 else None


class WebSocket:
    """The client's side of RFC 6455, frame by frame: it sends whatever it is told to, and checks what it receives.

    Raises:
        HandshakeRefused: the server did not answer 101.
    """

    def __init__(
        self, connection: Connection, target: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        self.connection = connection
        key = base64.b64encode(os.urandom(16)).decode()
        asked = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": key,
            "Sec-WebSocket-Version": "13",
            **(headers or {}),
        }
        self.handshake = connection.ask("GET", target, headers=asked)
        if self.handshake.status != 101:
            raise HandshakeRefused(self.handshake)
        digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        assert self.handshake.headers["sec-websocket-accept"] == base64.b64encode(digest).decode()
        assert self.handshake.headers["upgrade"].lower() == "websocket"

    def send(self, payload: str | bytes) -> None:
        """One message in one frame."""
        text = isinstance(payload, str)
        self.send_frame(TEXT if text else BINARY, payload.encode() if isinstance(payload, str) else payload)

    def send_frame(
        self, opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True
    ) -> None:
        self.connection.send(frame(opcode, payload, fin=fin, rsv=rsv, masked=masked))

    def receive(self) -> str | bytes:
        """The next message; pings and pongs on the way are passed over.

        Raises:
            Closed: the server closed instead.
        """
        message = b""
        first = None
        while True:
            got = self.receive_frame()
            if got.opcode == CLOSE:
                raise Closed(got.payload)
            if got.opcode in (PING, PONG):
                continue
            first = got.opcode if first is None else first
            message += got.payload
            if got.fin:
                return message.decode() if first == TEXT else message

    def receive_frame(self) -> Frame:
        first, second = self.connection.exactly(2)
        assert not second & 0x80, "a server's frame must not be masked"
        length = second & 0x7F
        if length == 126:
            length = int.from_bytes(self.connection.exactly(2))
            assert length > 125, "the shortest form of a length must be used"
        elif length == 127:
            length = int.from_bytes(self.connection.exactly(8))
            assert length > 65_535, "the shortest form of a length must be used"
        return Frame(
            first & 0x0F, self.connection.exactly(length), fin=bool(first & 0x80), rsv=first >> 4 & 0x7
        )

    def close_frame(self) -> Frame:
        """The server's close frame; what comes before it is passed over."""
        while (got := self.receive_frame()).opcode != CLOSE:
            pass
        return got

    def wait_closed(self) -> None:
        """The connection ends, with or without a close frame."""
        self.connection.rest()

    def close(self) -> None:
        self.connection.close()


class HandshakeRefused(Exception):
    """The answer to an upgrade was not 101."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status, answer.body[:200])
        self.answer = answer


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """A client's frame, right or wrong as told."""
    size = len(payload)
    if size < 126:
        length, extended = size, b""
    elif size < 65_536:
        length, extended = 126, size.to_bytes(2)
    else:
        length, extended = 127, size.to_bytes(8)
    head = bytes([fin << 7 | rsv << 4 | opcode, masked << 7 | length]) + extended
    if not masked:
        return head + payload
    mask = os.urandom(4)
    key = int.from_bytes((mask * (size // 4 + 1))[:size])
    return head + mask + (int.from_bytes(payload) ^ key).to_bytes(size)
