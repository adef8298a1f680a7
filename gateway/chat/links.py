"""URLs that carry their own right: to send one file, or to read one, until they expire (contract 1.4, 2.5).

A URL names the upload, when it ends, and an HMAC of both and of what it is good for, by a key that all nodes
share. It can be neither forged, nor prolonged, nor turned from one file or use to another; whoever has it may
use it. Making one asks nobody, so that messages are shown to a thousand people for the price of one: the URL
does not depend on who reads it.
"""

from __future__ import annotations

import hmac
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias

import msgspec

from gateway.errors import Forbidden
from gateway.records import iso

Use: TypeAlias = Literal["put", "get"]

# The URLs of one file are the same for so long, so that browsers find it in their cache.
WINDOW_S: Final = 900

# Stands in the parts of a message with uploaded files, where JSON takes it for a blank, and hardly ever in any
# other: no string can hold a bare tab. Looking for one byte is thirty times faster than for a key: a page of
# messages without files pays half a microsecond.
_MARK: Final = b"\t"
_ID: Final = re.compile(r"[0-9a-f-]{36}")
_HOST: Final = re.compile(r"[A-Za-z0-9._\-]{1,255}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")
_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_TEXT: Final = msgspec.json.Decoder(str)
_TEXT_OR_NULL: Final = msgspec.json.Decoder(str | None)
_ENCODE: Final = msgspec.json.Encoder().encode


class Link(msgspec.Struct, frozen=True):
    """A URL, and when it ends in milliseconds since the epoch."""

    url: str
    expires_at: int


class Links:
    """Makes URLs of files, checks them, and puts them into messages.

    Args:
        key: signs them; 32 random bytes, the same on every node.
        public_url: where clients reach the gateway; None takes what a request says.
        access_s: how long a URL to read lives at least.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        *,
        key: bytes,
        public_url: str | None,
        access_s: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key = key
        self._public_url = None if public_url is None else public_url.rstrip("/")
        self._access_s = access_s
        self._clock = clock

    def to_put(self, upload_id: str, *, until_ms: int, origin: str) -> Link:
        """Where the bytes of an upload are to be sent.

        Args:
            until_ms: milliseconds since the epoch; cut to the second.
            origin: of the request that asks, ``https://chat.example.org``.
        """
        return self._link("put", upload_id, until_ms // 1000, origin)

    def to_get(self, upload_id: str, *, origin: str) -> Link:
        """Where a file can be read, for ``access_s`` from now and up to ``WINDOW_S`` longer."""
        window = int(self._clock()) // WINDOW_S + 1
        return self._link("get", upload_id, window * WINDOW_S + self._access_s, origin)

    def require(self, use: Use, upload_id: str, *, expires: str, signature: str) -> int:
        """Check what a URL says. Returns the seconds that it has left.

        Raises:
            Forbidden: it is not one of ours for this use, or has expired.
        """
        # Only our own way of writing a number: a signature must not hold for two texts.
        if not (expires.isascii() and expires.isdecimal() and len(expires) <= 12):
            raise Forbidden("This link is not valid.", code="link_invalid")
        made = self._signature(use, upload_id, expires)
        if not hmac.compare_digest(made.encode(), signature.encode()):
            raise Forbidden("This link is not valid.", code="link_invalid")
        left = int(expires) - int(self._clock())
        if left <= 0:
            raise Forbidden("This link has expired.", code="link_expired")
        return left

    def shown(self, json: bytes, *, origin: str) -> bytes:
        """JSON with messages in it as clients are to read it: each file that was uploaded has its URLs.

        A message, an object with ``messages``, or anything else, which comes back as it is; so does, for the
        price of one search, what has no ``marked`` parts in it.

        Args:
            origin: of the request that this answers or that caused it.
        """
        # ``in`` would try the mark as a number first, and make an error of that: half a microsecond for nothing.
        if json.find(_MARK) < 0:
            return json
        fields: dict[str, Any] = _FIELDS.decode(json)
        if "messages" in fields:
            fields["messages"] = [self._message(one, origin) for one in _LIST.decode(fields["messages"])]
            return _ENCODE(fields)
        return _ENCODE(self._message(msgspec.Raw(json), origin))

    def _message(self, json: msgspec.Raw, origin: str) -> dict[str, Any] | msgspec.Raw:
        if _MARK not in bytes(json):
            return json
        fields: dict[str, Any] = _FIELDS.decode(json)
        if "parts" in fields:
            fields["parts"] = [self._part(part, origin) for part in _LIST.decode(fields["parts"])]
        if "parentMessage" in fields:
            fields["parentMessage"] = self._message(fields["parentMessage"], origin)
        return fields

    def _part(self, json: msgspec.Raw, origin: str) -> dict[str, Any] | msgspec.Raw:
        part: dict[str, Any] = _FIELDS.decode(json)
        upload_id = uploaded(part)
        if upload_id is None or not _ID.fullmatch(upload_id):
            return json
        link = self.to_get(upload_id, origin=origin)
        # ``url`` as well: the Flutter kit shows no file without one (contract appendix A 14).
        return part | {"url": link.url, "accessUrl": link.url, "accessUrlExpiresAt": iso(link.expires_at)}

    def _link(self, use: Use, upload_id: str, expires: int, origin: str) -> Link:
        base = self._public_url or _checked(origin)
        signature = self._signature(use, upload_id, str(expires))
        return Link(f"{base}/files/{upload_id}?expires={expires}&signature={signature}", expires * 1000)

    def _signature(self, use: Use, upload_id: str, expires: str) -> str:
        digest = hmac.digest(self._key, f"{use}\n{upload_id}\n{expires}".encode(), "sha256")
        return urlsafe_b64encode(digest[:24]).decode()  # 192 bits are enough, and need no padding


def marked(parts: bytes) -> bytes:
    """A JSON array of parts, marked as one with uploaded files in it."""
    return parts[:1] + _MARK + parts[1:]


def uploaded(part: dict[str, msgspec.Raw]) -> str | None:
    """The upload that a part shows; None for what is no file, or a file that is hosted elsewhere."""
    if "uploadId" not in part or _TEXT.decode(part["type"]) != "file":
        return None
    upload_id: str | None = _TEXT_OR_NULL.decode(part["uploadId"])
    return upload_id


def _checked(origin: str) -> str:
    """An origin as a request claims it, if it can be one; nothing else gets into a URL."""
    scheme, _, host = origin.partition("://")
    return origin if scheme in ("http", "https") and _HOST.fullmatch(host) else ""
