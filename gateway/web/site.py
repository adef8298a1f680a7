"""The pages: what runs here, whether it is well, how to use it. Everything is served from this package."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from html import escape
from http import HTTPStatus
from importlib.resources import files
from mimetypes import guess_type
from string import Template
from typing import Any

import msgspec
import structlog
from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException, NotFound, RequestedRangeNotSatisfiable

from gateway.errors import GatewayError
from gateway.web.exchange import LINGER_S, Exchange
from gateway.web.files import PREFIX, Files, mount_files
from gateway.web.mount import PREFIXES, Api, answer_api, scope_of
from gateway.web.receiving import Receiving
from gateway.wire.http import Response as Answer

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_CODES = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_TIMEOUT: "timeout",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal",
}
_SENTENCES = {
    HTTPStatus.NOT_FOUND: "There is nothing at this address.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not take this method.",
    HTTPStatus.REQUEST_TIMEOUT: "The request took too long to arrive.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The request body is too large.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong here; it has been logged.",
}


class Site(QuartTrio):
    asgi_http_class = Exchange


def create_web(
    *,
    api: Api,
    ready: Callable[[], Awaitable[dict[str, bool]]],
    openapi: Callable[[], dict[str, Any]],
    failure: Callable[[GatewayError], Answer],
    files: Files,
    max_body: int,
    body_s: float = 30.0,
    write_s: float = 30.0,
    put_s: float = 900.0,
) -> QuartTrio:
    """The ASGI application for everything that the lean HTTP loop does not serve.

    Args:
        api: answers every request below ``/v1``.
        ready: checks by name, True when that part can do its work; ``/readyz`` answers 503 unless all can.
        openapi: makes the OpenAPI document, once, when it is first asked for.
        failure: the answer to an error, as REST gives it.
        files: what users have sent, and where it is sent to.
        max_body: the longest request body in bytes; files have their own limit.
        body_s: how long a client may take to send one, and may be silent while it sends a file.
        put_s: how long it may take to send a file.
        write_s: how long it may take to read the answer.
    """
    site = Site("gateway.web", static_folder=None)
    site.config["MAX_CONTENT_LENGTH"] = max_body
    site.config["BODY_TIMEOUT"] = body_s
    site.config["RESPONSE_TIMEOUT"] = write_s + LINGER_S  # its time runs on while an exchange lingers

    @site.before_request
    async def mount_api() -> Response | None:
        # Before routing, not as a route: werkzeug would decode the path, join slashes and refuse a newline.
        if not scope_of(request)["raw_path"].startswith(PREFIXES):
            return None
        return await answer_api(request, api)

    @cache
    def document() -> bytes:
        return msgspec.json.encode(openapi())

    @site.get("/openapi.json")
    async def openapi_json() -> Response:
        response = _json(200, document())
        response.headers["Access-Control-Allow-Origin"] = "*"
        return await _revalidated(response)

    @site.get("/healthz")
    async def healthz() -> Response:
        return _json(200, b'{"status":"alive"}')

    @site.get("/readyz")
    async def readyz() -> Response:
        checks = await ready()
        well = all(checks.values())
        body = {"status": "ready" if well else "not ready", "checks": checks}
        response = _json(200 if well else 503, msgspec.json.encode(body))
        if not well:
            response.headers["Retry-After"] = "1"
        return response

    pages = _pages()

    @site.get("/")
    async def start() -> Response:
        return await _page(pages["start.html"])

    @site.get("/docs")
    async def docs() -> Response:
        return await _page(pages["docs.html"])

    @site.get("/assets/<name>")
    async def asset(name: str) -> Response:
        if name not in pages or name.endswith(".html"):
            raise NotFound
        media_type = guess_type(name)[0] or "application/octet-stream"
        response = Response(pages[name], content_type=f"{media_type}; charset=utf-8")
        return await _revalidated(response)

    mount_files(site, files)
    site.asgi_app = Receiving(  # type: ignore[method-assign]
        site.asgi_app, files=files, failure=failure, silent_s=body_s, put_s=put_s
    )

    @site.after_request
    async def protect(response: Response) -> Response:
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        return response

    @site.errorhandler(HTTPException)
    async def refuse(error: HTTPException) -> Response:
        if error.response is not None:  # a redirect, complete as it is
            return error.response  # type: ignore[return-value]
        response = _error(HTTPStatus(error.code or 500), pages, allow=getattr(error, "valid_methods", None))
        if isinstance(error, RequestedRangeNotSatisfiable) and error.length is not None:
            response.headers["Content-Range"] = f"bytes */{error.length}"
        return response

    @site.errorhandler(GatewayError)
    async def decline(error: GatewayError) -> Response:
        answer = failure(error)
        response = _error(HTTPStatus(answer.status), pages, sentence=error.message, code=error.code)
        if retry_after := dict(answer.headers).get("Retry-After"):
            response.headers["Retry-After"] = retry_after
        return response

    @site.errorhandler(Exception)
    async def confess(error: Exception) -> Response:
        # The one boundary: a bug in a page must not take its connection, let alone the listener, down.
        structlog.get_logger().exception(
            "request ended by an unexpected error", path=request.path, exc_info=error
        )
        return _error(HTTPStatus.INTERNAL_SERVER_ERROR, pages)

    return site


def _pages() -> dict[str, bytes]:
    """Read once: they are small, and a page must not need the disk to tell that something is wrong."""
    return {entry.name: entry.read_bytes() for entry in (files("gateway.web") / "pages").iterdir()}


async def _page(html: bytes) -> Response:
    response = Response(html, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    return await _revalidated(response)


async def _revalidated(response: Response) -> Response:
    """Cached, but asked for again each time: an upgrade shows at once, and costs a 304 otherwise."""
    response.headers["Cache-Control"] = "no-cache"
    await response.add_etag()
    return await response.make_conditional(request)


def _json(status: int, body: bytes) -> Response:
    response = Response(body, status, content_type="application/json; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    return response


def _error(
    status: HTTPStatus,
    pages: dict[str, bytes],
    *,
    allow: list[str] | None = None,
    sentence: str | None = None,
    code: str | None = None,
) -> Response:
    """A page for people, the contract's error body (D4) for everything else."""
    sentence = sentence or _SENTENCES.get(status, status.description or status.phrase)
    below_api = scope_of(request)["raw_path"].startswith(PREFIXES)
    if (
        not below_api
        and request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"
    ):
        page = Template(pages["error.html"].decode()).substitute(
            status=status.value, phrase=escape(status.phrase), sentence=escape(sentence)
        )
        response = Response(page, status, content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    else:
        code = code or _CODES.get(status, status.phrase.lower().replace(" ", "_"))
        body = {"statusCode": status.value, "error": sentence, "message": sentence, "code": code}
        response = _json(status, msgspec.json.encode(body))
    if below_api or request.path.startswith(PREFIX):
        response.headers["Access-Control-Allow-Origin"] = "*"
    if allow:
        response.headers["Allow"] = ", ".join(sorted(allow))
    return response
