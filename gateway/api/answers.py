"""Answers: how a result and how an error look over HTTP (contract 1.3, 1.4, D4)."""

from __future__ import annotations

from math import ceil
from typing import Any, Final

import msgspec

from gateway.errors import (
    Conflict,
    Forbidden,
    GatewayError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    TooLarge,
    TooSlow,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from gateway.wire.http import Response
from signaling.errors import Barred, CallError, Conflicting, MediaUnavailable, NotThere

# The one table from error to status. A class that is not here answers as its base does.
STATUS: Final[dict[type[GatewayError | CallError], int]] = {
    InvalidRequest: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    TooSlow: 408,
    Conflict: 409,
    TooLarge: 413,
    UnsupportedMediaType: 415,
    RateLimited: 429,
    Unavailable: 503,
    Barred: 403,
    NotThere: 404,
    Conflicting: 409,
    MediaUnavailable: 503,
    GatewayError: 500,
    CallError: 500,
}

# Any page of any origin may call: the credential is in a header of the request, never in a cookie.
CORS: Final = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "Retry-After"),
    ("Cache-Control", "no-store"),
)
_PREFLIGHT: Final = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    ("Access-Control-Allow-Headers", "Content-Type, Authorization, x-api-key, Idempotency-Key"),
    ("Access-Control-Max-Age", "86400"),
)
_ENCODE: Final = msgspec.json.Encoder().encode


class Problem(msgspec.Struct, frozen=True, rename="camel"):
    """The body of every error: the sentence twice, since JS clients show ``error`` and others ``message``."""

    status_code: int
    error: str
    message: str
    code: str


def ok(value: Any) -> Response:
    """200 with a JSON body: clients parse the body of every success (contract appendix A 1)."""
    return Response(200, _ENCODE(value), headers=CORS)


def created(value: Any) -> Response:
    """201 with a JSON body."""
    return Response(201, _ENCODE(value), headers=CORS)


def encoded(status: int, json: bytes) -> Response:
    """An answer whose JSON is there already."""
    return Response(status, json, headers=CORS)


def preflight() -> Response:
    """The answer to OPTIONS on any path, without asking who it is (contract 1.4)."""
    return Response(200, b"{}", headers=_PREFLIGHT)


def failure(error: GatewayError | CallError) -> Response:
    """The answer to an error of either tree, ours or signaling's, in the shape of D4 with the headers its status wants."""
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    body = _ENCODE(Problem(status, error.message, error.message, error.code))
    return Response(status, body, headers=(*CORS, *_headers(error)))


def _headers(error: GatewayError | CallError) -> tuple[tuple[str, str], ...]:
    match error:
        case Unauthorized():
            return (("WWW-Authenticate", "Bearer"),)
        case MethodNotAllowed(allow=allow):
            return (("Allow", allow),)
        case (
            RateLimited(retry_after_s=seconds)
            | Unavailable(retry_after_s=seconds)
            | MediaUnavailable(retry_after_s=seconds)
        ):
            return (("Retry-After", str(max(1, ceil(seconds)))),)
        case _:
            return ()
