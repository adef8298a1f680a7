"""Files that users send (contract 3.9)."""

from __future__ import annotations

from typing import Literal

import msgspec


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a user sends for use in messages (contract 3.9).

    Attributes:
        blob: where its bytes lie in the blob storage; None until they have come.
        status: what is removed is forgotten as soon as its bytes are.
        created_at, expires_at: milliseconds since the epoch; the bytes may come until ``expires_at``.
    """

    id: str
    tenant_id: str
    owner_id: str
    room_id: str | None
    filename: str
    media_type: str
    size_bytes: int
    status: Literal["pending", "completed", "removed"]
    blob: str | None
    created_at: int
    expires_at: int


class Readable(msgspec.Struct, frozen=True):
    """A file that a signed URL opens.

    Attributes:
        blob: where its bytes lie.
        left_s: how long the URL is still good.
        is_inline: a browser may show it; anything else it is to save.
    """

    upload: Upload
    blob: str
    left_s: int
    is_inline: bool


class Storage(msgspec.Struct, frozen=True, rename="camel"):
    """What a tenant's files take (contract endpoint 8); ``pending`` is promised and has not been completed."""

    bytes_used: int
    file_count: int
    pending_bytes: int
