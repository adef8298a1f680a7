"""``/files/<upload>``: reading files by their signed URLs, in ranges, as a browser may be trusted with them.

What a user has sent is served from the gateway's own origin, so nothing in it may run there: only what is known
to be harmless is shown, all else is saved, nothing is guessed from the bytes, and a document that is opened all
the same has no origin, scripts or network.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Final, Protocol
from urllib.parse import quote

from quart import Response, request
from quart.wrappers.response import ResponseBody
from quart_trio import QuartTrio
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from gateway.records import Readable

PREFIX: Final = "/files/"

SHOWN: Final = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
SAVED: Final = "default-src 'none'; sandbox"

_CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, PUT, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Range",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Length, Content-Range, ETag",
    "Access-Control-Max-Age": "86400",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


class Files(Protocol):
    """What the pages need of uploads. Errors are of ``gateway.errors``."""

    async def receive(
        self,
        upload_id: str,
        chunks: AsyncIterable[bytes],
        *,
        expires: str,
        signature: str,
        length: int | None,
    ) -> None: ...
    async def open(self, upload_id: str, *, expires: str, signature: str) -> Readable: ...
    def read(
        self, file: Readable, *, begin: int, end: int
    ) -> AbstractAsyncContextManager[AsyncGenerator[bytes, None]]: ...


class FileBody(ResponseBody):
    """The bytes of a file, or a range of them, read as fast as the client takes them."""

    def __init__(self, files: Files, file: Readable) -> None:
        self._files = files
        self._file = file
        self._opened = AsyncExitStack()
        self.begin = 0
        self.end = file.upload.size_bytes

    async def make_conditional(self, begin: int, end: int | None) -> int:
        """Quart's hook: keep to a range. ``begin`` below 0 counts from the end."""
        size = self._file.upload.size_bytes
        self.begin = max(size + begin, 0) if begin < 0 else begin
        self.end = size if end is None else min(end, size)
        if self.begin >= self.end:
            raise RequestedRangeNotSatisfiable(size)
        return size

    async def __aenter__(self) -> AsyncIterable[bytes]:
        return await self._opened.enter_async_context(
            self._files.read(self._file, begin=self.begin, end=self.end)
        )

    async def __aexit__(self, *error: Any) -> None:
        await self._opened.aclose()


def mount_files(site: QuartTrio, files: Files) -> None:
    """Let ``site`` serve files. What is sent to them does not come here: see ``receiving``."""

    @site.route("/files/<upload_id>", methods=["GET", "HEAD"], provide_automatic_options=False)
    async def file(upload_id: str) -> Response:
        found = await files.open(
            upload_id,
            expires=request.args.get("expires", ""),
            signature=request.args.get("signature", ""),
        )
        upload = found.upload
        body = FileBody(files, found)
        response = Response(body, content_type=upload.media_type)
        headers = response.headers
        headers.update(_CORS)
        headers["Accept-Ranges"] = "bytes"
        headers["Cache-Control"] = f"private, max-age={found.left_s}, immutable"
        headers["Content-Security-Policy"] = SHOWN if found.is_inline else SAVED
        headers["Referrer-Policy"] = "no-referrer"
        if response.mimetype == "application/pdf":
            del headers["Content-Security-Policy"]  # the browsers' own viewers do not open in a sandbox
        disposition = "inline" if found.is_inline else "attachment"
        headers["Content-Disposition"] = f"{disposition}; filename*=UTF-8''{quote(upload.filename, safe='')}"
        response.content_length = upload.size_bytes
        response.set_etag(upload.id)  # its bytes never change
        response.timeout = None  # a large file takes as long as it takes; each write has its deadline
        # One range of bytes, as players ask for. Of several, or of something else, we send the whole (RFC 9110
        # 14.2).
        asked = request.range
        one = asked is not None and asked.units == "bytes" and len(asked.ranges) == 1
        await response.make_conditional(
            request, accept_ranges=True, complete_length=upload.size_bytes if one else None
        )
        if request.method == "HEAD":
            length = response.content_length
            response.set_data(b"")
            response.content_length = length
        return response

    @site.route("/files/<upload_id>", methods=["OPTIONS"], provide_automatic_options=False)
    async def preflight(upload_id: str) -> Response:
        return Response(b"", 200, _CORS)

    # No view: a PUT does not come here. The rule is for ``Allow``, which tells of all methods of the address.
    site.add_url_rule("/files/<upload_id>", "put", methods=["PUT"], provide_automatic_options=False)
