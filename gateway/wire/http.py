"""HTTP requests and responses as plain records, and the bytes of a response (RFC 9112).

``route(request) -> Response`` is written against these two and knows no server: the lean HTTP loop and the Quart app both
make a :class:`Request` and send a :class:`Response`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus


class Request:
    """One HTTP request with its whole body.

    Attributes:
        method: upper case, ``"GET"``.
        path: the path as sent, still percent-encoded, without the query: ``"/v1/users/a%2Fb"``.
        query: the query string as sent, without the ``?``.
        headers: lower-case names to values; repeated headers joined with ``", "``.
        body: the raw bytes, complete and within the size limit.
        peer: the client's address, for logs and limits.
        secure: whether it came over TLS (directly).
    """

    __slots__ = ("body", "headers", "method", "path", "peer", "query", "secure")

    def __init__(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        peer: str = "",
        secure: bool = False,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers: Mapping[str, str] = {} if headers is None else headers
        self.body = body
        self.peer = peer
        self.secure = secure

    @property
    def origin(self) -> str:
        """Where the client says that it reaches us: ``https://chat.example.org``. Not to be trusted."""
        return f"{'https' if self.secure else 'http'}://{self.headers.get('host', '')}"


class Response:
    """One HTTP answer.

    Args:
        status: the code, e.g. 201.
        body: the whole body.
        content_type: value of Content-Type; JSON in UTF-8 unless said otherwise (contract 1.1).
        headers: further headers as (name, value).
        close: whether the connection must end after it.
    """

    __slots__ = ("body", "close", "content_type", "headers", "status")

    def __init__(
        self,
        status: int,
        body: bytes,
        *,
        content_type: str = "application/json; charset=utf-8",
        headers: Sequence[tuple[str, str]] = (),
        close: bool = False,
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers
        self.close = close


_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_BODILESS = frozenset((204, 304))


def serialize(
    response: Response, *, date: str, head_only: bool = False, connection: str | None = None
) -> bytes:
    """The bytes of a response, ``Content-Length`` framed.

    Args:
        date: an IMF-fixdate, made once a second by the caller (wire code has no clock).
        head_only: leave the body out, as an answer to HEAD demands; its length is still told.
        connection: value of the Connection header, when one must be said.
    """
    body = response.body
    head = f"{_STATUS_LINES[response.status]}Date: {date}\r\n"
    if response.status not in _BODILESS:
        head += f"Content-Type: {response.content_type}\r\nContent-Length: {len(body)}\r\n"
    for name, value in response.headers:
        head += f"{name}: {value}\r\n"
    if connection is not None:
        head += f"Connection: {connection}\r\n"
    start = (head + "\r\n").encode("latin-1")
    return start if head_only else start + body
