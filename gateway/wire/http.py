"""HTTP requests and responses as plain records, and the bytes of a response (RFC 9112).

``route(request) -> Response`` is written against these two and knows no server: the lean HTTP loop and the Quart app both
make a :class:`Request` and send a :class:`Response`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
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


_BODILESS = frozenset((204, 304))


def serialize(
    response: Response, *, date: bytes, head_only: bool = False, connection: str | None = None
) -> bytes:
    """The bytes of a response, ``Content-Length`` framed.

    Args:
        date: an IMF-fixdate, made once a second by the caller (wire code has no clock).
        head_only: leave the body out, as an answer to HEAD demands; its length is still told.
        connection: value of the Connection header, when one must be said.
    """
    body = response.body
    start = _start(response.status, response.content_type, tuple(response.headers), connection)
    if response.status in _BODILESS:
        return b"%bDate: %b\r\n\r\n" % (start, date)
    sent = b"" if head_only else body
    return b"%bContent-Length: %d\r\nDate: %b\r\n\r\n%b" % (start, len(body), date, sent)


# A server has few kinds of answers, and writing this down is most of what an answer costs: 2 us of 2.5.
@lru_cache(maxsize=128)
def _start(
    status: int, content_type: str, headers: tuple[tuple[str, str], ...], connection: str | None
) -> bytes:
    """What a head says before it comes to its body and the time."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    if status not in _BODILESS:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"{name}: {value}" for name, value in headers]
    if connection is not None:
        lines.append(f"Connection: {connection}")
    return "".join([f"{line}\r\n" for line in lines]).encode("latin-1")
