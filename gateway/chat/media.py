"""What a file may be: its type, its size, its name (contract 2.5, 3.9), and what a browser may do with it."""

from __future__ import annotations

import re
from typing import Final

from gateway.chat.settings import MediaSettings
from gateway.errors import Forbidden, InvalidRequest, TooLarge, UnsupportedMediaType

FILENAME_CHARACTERS: Final = 255

# A type and its parameters (RFC 9110 8.3.1). The first part is what is compared (contract appendix A 28).
_TYPE: Final = re.compile(
    r"([A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}) *(;[\x20-\x7e]{0,200})?"
)
_INLINE: Final = frozenset(("application/pdf", "text/plain"))
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def bare_type(media_type: str) -> str:
    """``audio/webm`` of ``audio/webm;codecs=opus``, in lower case.

    Raises:
        InvalidRequest: it is not a media type.
    """
    found = _TYPE.fullmatch(media_type)
    if found is None:
        raise InvalidRequest("mediaType must be a media type, as image/png.")
    return found[1].lower()


def require_allowed(media: MediaSettings, *, media_type: str, size_bytes: int, most_bytes: int) -> None:
    """Refuse a file that the tenant does not take.

    Args:
        most_bytes: what the gateway takes of any tenant.

    Raises:
        Forbidden: the tenant takes no files.
        InvalidRequest: ``media_type`` is not one.
        UnsupportedMediaType: not of this type.
        TooLarge: not of this size.
    """
    if not media.enabled:
        raise Forbidden("Uploads are switched off.", code="media_disabled")
    bare = bare_type(media_type)
    if not any(_matches(bare, allowed.strip().lower()) for allowed in media.allowed_mime_types):
        raise UnsupportedMediaType(f"Files of type {bare} are not allowed.")
    limit = min(media.max_file_size_bytes, most_bytes)
    if bare.startswith("image/"):
        limit = min(limit, media.max_image_size_bytes)
    if size_bytes > limit:
        raise TooLarge(f"A file of this type may have at most {limit} bytes.", code="file_too_large")


def file_name(given: str) -> str:
    """A name without a path and without characters that could deceive a reader or break a header."""
    name = _UNSAFE.sub("", re.split(r"[/\\]", given)[-1]).strip(" .")
    if len(name) > FILENAME_CHARACTERS:
        stem, dot, suffix = name.rpartition(".")
        # A long suffix is none.
        name = (
            stem[: FILENAME_CHARACTERS - len(suffix) - 1] + dot + suffix if dot and len(suffix) < 20 else name
        )
    return name[:FILENAME_CHARACTERS] or "file"


def is_inline(media_type: str) -> bool:
    """Whether a browser may show such a file, because nothing in it can run: SVG is a document with scripts, and
    so may be whatever is not known to be harmless.
    """
    bare = bare_type(media_type)
    return bare in _INLINE or (bare.startswith(("image/", "audio/", "video/")) and bare != "image/svg+xml")


def _matches(bare: str, allowed: str) -> bool:
    kind, _, rest = allowed.partition("/")
    return allowed == bare or (rest == "*" and (kind == "*" or bare.startswith(f"{kind}/")))
