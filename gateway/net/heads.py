"""Heads of HTTP/1.1 requests (RFC 9112), parsed by llhttp (``httptools``)."""

from __future__ import annotations

import httptools
import msgspec


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
