"""The lean HTTP/1.1 side of a connection: heads, bodies and answers (RFC 9112), with every size and time bounded.

llhttp (``httptools``) parses each head. Bodies here have a Content-Length; a request that sends its body in chunks is served
by Hypercorn, like everything that is not an API (see door.py).
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate

import httptools
import msgspec
import trio

from gateway.config import Http
from gateway.delivery.timers import Wheel
from gateway.net.stream import PlainStream
from gateway.wire.http import Request, Response, serialize

RECEIVE_BYTES = 65_536
FIRST_BYTES = 8_192
"""How much is read of a request that begins: nearly always all of it, and to make room for more costs more than a read."""

REMEMBERED_BYTES = 1_536
"""How large a head may be that is kept for the next request, and so for as long as its connection idles."""

DRAIN_BYTES = 8_388_608
"""How much of a refused body is read and dropped so that the connection can be kept."""


class Head(msgspec.Struct, frozen=True):
    """One request head.

    Attributes:
        path, query: as sent, still percent-encoded.
        headers: lower-case names; repeated ones joined with ", ".
        length: of the body in bytes; None when it comes in chunks.
        raw: the bytes, blank line included.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    length: int | None
    is_upgrade: bool
    keep_alive: bool
    version: str
    raw: bytes


class Malformed(Exception):
    """The client's HTTP cannot be answered further: say so and end the connection."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class _Fields:
    """What llhttp calls back with."""

    __slots__ = ("headers", "hosts", "target")

    def __init__(self) -> None:
        self.hosts = 1
        self.target = b""
        self.headers: dict[str, str] = {}

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        headers = self.headers
        if key in headers:
            if key == "host":
                self.hosts += 1
            text = f"{headers[key]}, {text}"
        headers[key] = text


def parse_head(raw: bytes) -> Head:
    """Parse one complete head.

    Raises:
        Malformed: it is not HTTP/1, is ambiguous about its length, or names no host.
    """
    fields = _Fields()
    parser = httptools.HttpRequestParser(fields)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        raise Malformed(400, f"Malformed request: {error}.") from error
    headers = fields.headers
    version = parser.get_http_version()
    if version not in ("1.0", "1.1"):
        raise Malformed(400, "This is not HTTP/1.")
    if fields.hosts > 1 or ("host" not in headers and version == "1.1"):
        raise Malformed(400, "A request must name its Host, once.")
    target = fields.target
    if target[:1] != b"/" and target != b"*":
        try:
            url = httptools.parse_url(target)
        except httptools.HttpParserInvalidURLError as error:
            raise Malformed(400, "Malformed request target.") from error
        target = (url.path or b"/") + (b"?" + url.query if url.query else b"")
    path, _, query = target.decode("latin-1").partition("?")
    upgrade = headers.get("upgrade", "")
    connection = headers.get("connection", "").lower()
    return Head(
        parser.get_method().decode(),
        path,
        query,
        headers,
        None if "transfer-encoding" in headers else int(headers.get("content-length", 0)),
        upgrade.lower() == "websocket" and "upgrade" in connection,
        # Not llhttp's own word: it has forgotten by now what a request without a body said.
        "close" not in connection and (version != "1.0" or "keep-alive" in connection),
        version,
        raw,
    )


class HttpConnection:
    """One client connection between requests: what has been read of it, and how long it may take.

    Args:
        stream: a ``PlainStream``, or TLS.
        expire: called when a deadline passes (cancels whatever the connection is doing).

    Attributes:
        expired: a deadline has passed.
        mid_request: part of a request has come, and nothing of its answer has gone.
    """

    __slots__ = (
        "_buffer",
        "_clock",
        "_deadline",
        "_head",
        "_settings",
        "_wheel",
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
        expire: Callable[[], None],
    ) -> None:
        self.stream = stream
        self._clock = clock
        self.peer = peer
        self.secure = secure
        self.expired = False
        self.mid_request = False
        self._buffer = b""
        self._head: Head | None = None  # of the last request, unless it was large
        self._settings = settings
        self._wheel = wheel

        def expired() -> None:
            self.expired = True
            expire()

        self._deadline = wheel.at(math.inf, expired)

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

    async def _more(self) -> bytes:
        return bytes(await self.stream.receive_some(RECEIVE_BYTES))

    async def head(self) -> Head | None:
        """The next request's head; None when the client is done.

        Raises:
            Malformed: not HTTP, or over ``head_bytes``.
        """
        settings = self._settings
        buffer = self._buffer
        begun = self.mid_request = bool(buffer)
        self._within(settings.head_s if begun else settings.keep_alive_s)
        if begun:
            await trio.lowlevel.checkpoint()  # pipelined: the others have their turn all the same
        else:
            buffer = bytes(await self.stream.receive_some(FIRST_BYTES))
            if not buffer:
                return None
            self.mid_request = True
        # Clients repeat themselves: a list that is fetched again, a message as long as the one before.
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
            if not begun:
                begun = True
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

    async def respond(self, response: Response, *, head: Head | None, keep_alive: bool) -> None:
        """Send an answer, within ``write_s``."""
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
        left = stream.send_nowait(data) if isinstance(stream, PlainStream) else data
        if left:
            self._within(self._settings.write_s)
            await stream.send_all(left)
            self.unhurried()

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
