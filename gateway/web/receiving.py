"""``PUT /files/<upload>``: a file straight from a browser.

Beside Quart and not in it: Quart takes a body in as fast as it comes and holds what has not been read. Here the
next piece is asked for when the last is on the disk, so that a file costs memory for a few pieces, and a client
that is faster than the disk waits.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Final
from urllib.parse import parse_qs

import structlog
import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope

from gateway.errors import GatewayError, TooSlow
from gateway.web.files import PREFIX, Files
from gateway.wire.http import Response

DRAIN_BYTES: Final = 8_388_608
DRAIN_S: Final = 5.0
"""How much of a refused file is read away, and for how long, so that its sender sees the answer and no reset."""

_HEADERS: Final = (("Access-Control-Allow-Origin", "*"), ("Cache-Control", "no-store"))

log = structlog.get_logger(__name__)


class _Gone(Exception):
    """The client went away in the middle; there is nobody to answer."""


class Receiving:
    """ASGI middleware that takes the PUTs of files and leaves all else to ``app``.

    Args:
        failure: the answer to an error.
        silent_s: how long a client may send nothing before it is cut off.
        put_s: how long it may take for a whole file.
    """

    def __init__(
        self,
        app: Any,
        *,
        files: Files,
        failure: Callable[[GatewayError], Response],
        silent_s: float,
        put_s: float,
    ) -> None:
        self._app = app
        self._files = files
        self._failure = failure
        self._silent_s = silent_s
        self._put_s = put_s

    async def __call__(self, scope: Any, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "http" and scope["method"] == "PUT" and scope["path"].startswith(PREFIX):
            await self._put(scope, _Body(receive, self._silent_s), send)
        else:
            await self._app(scope, receive, send)

    async def _put(self, scope: HTTPScope, body: _Body, send: ASGISendCallable) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        response = Response(200, b"{}", headers=_HEADERS)
        try:
            with trio.fail_after(self._put_s):
                async with aclosing(body.chunks()) as chunks:
                    await self._files.receive(
                        scope["path"].removeprefix(PREFIX),
                        chunks,
                        expires=query.get("expires", [""])[-1],
                        signature=query.get("signature", [""])[-1],
                        length=_length(scope),
                    )
        except _Gone:
            return
        except GatewayError as error:
            response = self._failure(error)
            if not await body.drained():
                return
        except trio.TooSlowError:
            response = self._failure(TooSlow("The file took too long to arrive."))
        except Exception:
            # The one boundary of what Quart does not see; see ``Site``.
            log.exception("a file was not received, for an unexpected error")
            response = self._failure(GatewayError("Something went wrong here; it has been logged."))
        await _send(response, send, close=not body.ended and scope["http_version"] < "2")


class _Body:
    """A request's body, piece by piece."""

    def __init__(self, receive: ASGIReceiveCallable, silent_s: float) -> None:
        self._receive = receive
        self._silent_s = silent_s
        self.ended = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The pieces, as they come.

        Raises:
            TooSlowError: the client has been silent for too long.
            _Gone: it went away.
        """
        while not self.ended:
            with trio.fail_after(self._silent_s):
                event = await self._receive()
            if event["type"] != "http.request":
                raise _Gone
            self.ended = not event.get("more_body", False)
            yield event.get("body", b"")

    async def drained(self) -> bool:
        """Read the rest away, as far as it is worth it; False if the client has gone."""
        dropped = 0
        with trio.move_on_after(DRAIN_S):
            try:
                async with aclosing(self.chunks()) as chunks:
                    async for chunk in chunks:
                        dropped += len(chunk)
                        if dropped > DRAIN_BYTES:
                            break
            except _Gone:
                return False
            except trio.TooSlowError:
                pass  # it may be waiting for the answer
        return True


def _length(scope: HTTPScope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)  # Hypercorn has refused what is no number
    return None


async def _send(response: Response, send: ASGISendCallable, *, close: bool) -> None:
    headers = [("content-type", response.content_type), *response.headers]
    headers.append(("content-length", str(len(response.body))))
    if close:
        headers.append(("connection", "close"))
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
            "trailers": False,
        }
    )
    await send({"type": "http.response.body", "body": response.body, "more_body": False})
