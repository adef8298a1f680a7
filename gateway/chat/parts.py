"""The parts of a message (contract 3.5): what is checked on the way in, what is kept, and the preview made of
them.

A message is stored and sent as the JSON the client wrote: known keys are checked, everything else passes
untouched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.chat.links import marked, uploaded
from gateway.chat.reading import read
from gateway.errors import InvalidRequest
from gateway.records import SERVER_MADE, Membership
from signaling import call_log

MAX_PARTS: Final = 100
PREVIEW_CHARACTERS: Final = 200


class Part(msgspec.Struct, frozen=True, rename="camel"):
    """One part as far as the gateway reads it; every other key is kept as it is."""

    type: Annotated[str, Meta(min_length=1, max_length=100)]
    text: str | None = None
    media_type: str | None = None
    url: str | None = None
    upload_id: str | None = None
    filename: str | None = None
    access_url: str | None = None
    access_url_expires_at: str | None = None
    state: str | None = None
    data: msgspec.Raw | UnsetType = UNSET


class Content(msgspec.Struct, frozen=True):
    """The parts as they will be stored and sent, the line that inboxes show for them, and which uploads they
    show.
    """

    json: bytes
    preview_text: str | None
    upload_ids: tuple[str, ...] = ()


_PARTS: Final = msgspec.json.Decoder(Annotated[list[Part], Meta(min_length=1, max_length=MAX_PARTS)])
_KEPT: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_CALL_LOG: Final = msgspec.json.Decoder(call_log.CallLog)
_MEMBERSHIP: Final = msgspec.json.Decoder(Membership)


def read_parts(json: bytes | msgspec.Raw, *, by_server: bool) -> Content:
    """Check the parts of a new message.

    Args:
        json: the array as the client wrote it, valid UTF-8.
        by_server: the tenant's backend may write the parts that are ``SERVER_MADE``.

    Raises:
        InvalidRequest: not an array of parts, too many or none, or a part that only the server makes.
    """
    parts = read(_PARTS, json, within="parts")
    upload_ids: tuple[str, ...] = ()
    for part in parts:
        if part.type in SERVER_MADE and not by_server:
            raise InvalidRequest(f"Parts of type {part.type} are made by the server.")
        if part.upload_id is not None and part.type == "file":
            upload_ids = (*upload_ids, part.upload_id)
    return Content(
        json=_without_urls(json) if upload_ids else bytes(json),
        preview_text=preview(parts),
        upload_ids=upload_ids,
    )


def preview(parts: Sequence[Part]) -> str | None:
    """The line for inbox and push: the text if there is any, else what the first telling part is.

    NUL is replaced, which not every database can hold and no device can show.
    """
    if len(parts) == 1 and parts[0].type == "text":  # nearly every message
        text = parts[0].text or ""
    else:
        text = "\n".join([part.text for part in parts if part.type == "text" and part.text])
    text = text.strip()
    if text:
        return text[:PREVIEW_CHARACTERS].rstrip().replace("\0", "\ufffd")
    for part in parts:
        if label := _label(part):
            return label.replace("\0", "\ufffd")
    return None


def _label(part: Part) -> str | None:
    if part.type == "file":
        return _file_label(part)
    if part.data is UNSET:
        return None
    try:
        if part.type == "data-call":
            return call_log.preview(_CALL_LOG.decode(part.data))
        if part.type == "data-membership":
            return _membership_label(_MEMBERSHIP.decode(part.data))
    except (msgspec.MsgspecError, RecursionError):
        # Clients take such a part for no call log and no membership; so does the inbox.
        return None
    return None


def _file_label(part: Part) -> str | None:
    kind = (part.media_type or "").partition("/")[0].lower()
    named = {"image": "Photo", "video": "Video", "audio": "Audio"}.get(kind, part.filename)
    return named[:PREVIEW_CHARACTERS] if named else None


def _membership_label(change: Membership) -> str:
    if change.action == "removed":
        return f"{change.actor_user_id} removed {change.target_user_id}"
    return f"{change.target_user_id} {change.action}"


def _without_urls(json: bytes | msgspec.Raw) -> bytes:
    """Uploaded files as they are kept: their URLs are made for each reading, and clients send old ones back."""
    parts = _KEPT.decode(json)
    for part in parts:
        if uploaded(part) is not None:
            for key in ("url", "accessUrl", "accessUrlExpiresAt"):
                part.pop(key, None)
    return marked(msgspec.json.encode(parts))
