"""The lean HTTP/1.1 side of a connection: heads, bodies and answers (RFC 9112), with every size and time bounded.

Bodies here have a Content-Length; a request that sends its body in chunks is served by Hypercorn, like everything that is
not an API (see door.py).
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate

import msgspec
import trio

from gateway.config import Http
from gateway.delivery.timers import Wheel
from gateway.net.heads import Head, Malformed, parse_head
from gateway.net.stream import PlainStream
from gateway.wire.http import Request, Response, serialize

RECEIVE_BYTES = 65_536
FIRST_BYTES = 8_192
"""How much is read of a request that begins: nearly always all of it, and to make room for more costs more than a read."""

REMEMBERED_BYTES = 1_536
"""How large a head may be that is kept for the next request, and so for as long as its connection idles."""

DRAIN_BYTES = 8_388_608
"""How much of a refused body is read and dropped so that the connection can be kept."""


class HttpConnection:
    """One client connection between requests: what has been read of it, and how long it may take.

    Args:
        stream: a ``PlainStream``, or TLS.
        cancel: ends whatever the connection is doing.

    Attributes:
        expired: a deadline has passed, and all was cancelled.
        mid_request: part of a request has come, and nothing of its answer has gone.
    """

    __slots__ = (
        "_buffer",
        "_clock",
        "_deadline",
        "_head",
        "_settings",
        "_wheel",
        "cancel",
        "expired",
        "mid_request",
        "peer",
        "secure",
        "stream",
    )

    def __init__(
        self,
        stream: trio.abc.Stream,
        *,
        settings: Http,
        wheel: Wheel,
        clock: Clock,
        peer: str,
        secure: bool,
        cancel: Callable[[], None],
    ) -> None:
        self.stream = stream
        self.cancel = cancel
        self._clock = clock
        self.peer = peer
        self.secure = secure
        self.expired = False
        self.mid_request = False
        self._buffer = b""
        self._head: Head | None = None  # of the last request, unless it was large
        self._settings = settings
        self._wheel = wheel
        self._deadline = wheel.at(math.inf, self._expire)

    def _expire(self) -> None:
        self.expired = True
        self.cancel()

    @property
    def has_begun(self) -> int:
        """How many bytes have come that were not read."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take what has come."""
        self._buffer = self._buffer + data if self._buffer else data

    def take_buffer(self, most: int | None = None) -> bytes:
        """What the client has sent beyond what was read; all of it, or the next ``most`` bytes."""
        taken = self._buffer[:most]
        self._buffer = self._buffer[len(taken) :]
        return taken

    def _within(self, seconds: float) -> None:
        self._wheel.move(self._deadline, trio.current_time() + seconds)

    def unhurried(self) -> None:
        """No deadline from now on."""
        self._deadline.deadline = math.inf

    def forget(self) -> None:
        """The connection is over or given away."""
        self._deadline.cancel()

    def rest(self) -> None:
        """Nothing is under way; the next request may come within ``keep_alive_s``."""
        self.mid_request = False
        self._within(self._settings.keep_alive_s)

    def whole_head(self, most: int) -> Head | None:
        """The head of the request that has come, if all of it has come, with a body of at most so many bytes. What is wrong
        with any other, ``head`` will say.
        """
        buffer, head = self._buffer, self._head
        # Clients repeat themselves: a list that is fetched again, a message as long as the one before.
        if head is None or not buffer.startswith(head.raw):
            end = buffer.find(b"\r\n\r\n") + 4
            if end < 4 or end > self._settings.head_bytes or buffer[:1] in (b"\r", b"\n"):
                return None
            try:
                head = parse_head(buffer[:end])
            except Malformed:
                return None
            self._head = head if end <= REMEMBERED_BYTES else None
        if head.length is None or head.length > most or len(head.raw) + head.length > len(buffer):
            return None
        return head

    def take_body(self, head: Head) -> bytes:
        """The body of the request whose ``whole_head`` this is, which has been read then."""
        assert head.length is not None
        start = len(head.raw)
        end = start + head.length
        buffer = self._buffer
        self._buffer = buffer[end:]
        return buffer[start:end]

    async def _more(self) -> bytes:
        return bytes(await self.stream.receive_some(RECEIVE_BYTES))

    async def head(self) -> Head | None:
        """The next request's head; None when the client is done.

        Raises:
            Malformed: not HTTP, or over ``head_bytes``.
        """
        settings = self._settings
        buffer = self._buffer
        if not buffer:
            self.rest()
            buffer = bytes(await self.stream.receive_some(FIRST_BYTES))
            if not buffer:
                return None
        self.mid_request = True
        hurried = False
        head = self._head
        if head is not None and buffer.startswith(head.raw):
            self._buffer = buffer[len(head.raw) :]
            self.unhurried()
            return head
        while True:
            # Empty lines before a request are tolerated (RFC 9112 2.2).
            if buffer[:1] in (b"\r", b"\n"):
                buffer = buffer.lstrip(b"\r\n")
            end = buffer.find(b"\r\n\r\n")
            if end >= 0:
                break
            if len(buffer) > settings.head_bytes:
                raise Malformed(431, "The request head is too large.")
            if not hurried:
                hurried = True
                self._within(settings.head_s)
            self._buffer = buffer
            data = await self.stream.receive_some(FIRST_BYTES)
            if not data:
                return None
            buffer += data
        end += 4
        if end > settings.head_bytes:
            raise Malformed(431, "The request head is too large.")
        self._buffer = buffer[end:]
        self.unhurried()
        head = parse_head(buffer[:end])
        self._head = head if end <= REMEMBERED_BYTES else None
        return head

    async def body(self, head: Head, limit: int) -> bytes:
        """The whole body of a request with a length.

        Raises:
            Malformed: over ``limit`` (413), or the client left in the middle (400).
        """
        length = head.length
        assert length is not None
        if length == 0:
            return b""
        if length > limit:
            raise Malformed(413, f"The request body is over {limit} bytes.")
        buffer = self._buffer
        if len(buffer) < length:
            if head.headers.get("expect", "").lower() == "100-continue":
                await self.stream.send_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._within(self._settings.body_s)
            pieces, have = [buffer], len(buffer)
            while have < length:
                data = await self._more()
                if not data:
                    raise Malformed(400, "The request body ended early.")
                pieces.append(data)
                have += len(data)
            buffer = b"".join(pieces)
            self.unhurried()
        self._buffer = buffer[length:]
        return buffer[:length]

    async def drop_body(self, head: Head) -> bool:
        """Read a refused body away, so that the connection can go on; False if it is not worth it."""
        if head.length is None or head.length > DRAIN_BYTES or "expect" in head.headers:
            return False
        left = head.length - len(self._buffer)
        if left <= 0:
            self._buffer = self._buffer[head.length :]
            return True
        self._buffer = b""
        self._within(self._settings.body_s)
        while left > 0:
            data = await self._more()
            if not data:
                return False
            left -= len(data)
            if left < 0:
                self._buffer = data[left:]
        self.unhurried()
        return True

    def respond_nowait(
        self, response: Response, *, head: Head | None, keep_alive: bool
    ) -> bytes | bytearray | memoryview:
        """Send an answer, as far as that can be done at once; returns the rest, for ``send``."""
        self.mid_request = False
        connection = None if keep_alive else "close"
        if keep_alive and head is not None and head.version == "1.0":
            connection = "keep-alive"
        data = serialize(
            response,
            date=self._clock.date(),
            head_only=head is not None and head.method == "HEAD",
            connection=connection,
        )
        stream = self.stream
        return stream.send_nowait(data) if isinstance(stream, PlainStream) else data

    async def send(self, left: bytes | bytearray | memoryview) -> None:
        """Send what was left of an answer, within ``write_s``."""
        if left:
            self._within(self._settings.write_s)
            await self.stream.send_all(left)
            self.unhurried()

    async def respond(self, response: Response, *, head: Head | None, keep_alive: bool) -> None:
        await self.send(self.respond_nowait(response, head=head, keep_alive=keep_alive))

    async def while_connected(
        self, answer: Callable[[Request], Awaitable[Response]], request: Request
    ) -> Response | None:
        """Run a handler that may wait long; None (and the handler cancelled) when the client goes away meanwhile."""
        response: Response | None = None
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                while len(self._buffer) < RECEIVE_BYTES:
                    try:
                        data = await self._more()
                    except trio.BrokenResourceError:
                        data = b""
                    if not data:
                        nursery.cancel_scope.cancel()
                        return
                    self._buffer += data

            nursery.start_soon(watch)
            response = await answer(request)
            nursery.cancel_scope.cancel()
        return response


class Clock:
    """The Date header (RFC 9110 5.6.7), formatted once a second."""

    __slots__ = ("_second", "_text")

    def __init__(self) -> None:
        self._second = 0
        self._text = b""

    def date(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._text = formatdate(second, usegmt=True).encode()
        return self._text


def error_response(status: int, message: str, code: str) -> Response:
    """An error in the contract's shape (D4), for what is refused before any application sees it."""
    return Response(
        status,
        msgspec.json.encode({"statusCode": status, "error": message, "message": message, "code": code}),
        headers=(("Access-Control-Allow-Origin", "*"),),
    )
