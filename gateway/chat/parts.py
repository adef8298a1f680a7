"""The parts of a message (contract 3.5): what is checked on the way in, what is kept, and the preview made of
them.

A message is stored and sent as the JSON the client wrote: known keys are checked, everything else passes
untouched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.chat.reading import read
from gateway.errors import InvalidRequest
from gateway.records import SERVER_MADE, Membership

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


class CallLog(msgspec.Struct, frozen=True, rename="camel"):
    """``data`` of a ``data-call`` part."""

    call_id: str
    call_type: Literal["audio", "video"]
    outcome: Literal["completed", "missed", "declined", "cancelled"]
    initiated_by_user_id: str
    is_group: bool
    duration_seconds: float | None = None


class Content(msgspec.Struct, frozen=True):
    """The parts as they will be stored and sent, and the line that inboxes show for them."""

    json: bytes
    preview_text: str | None


_PARTS: Final = msgspec.json.Decoder(Annotated[list[Part], Meta(min_length=1, max_length=MAX_PARTS)])
_KEPT: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_CALL_LOG: Final = msgspec.json.Decoder(CallLog)
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
    stale_urls = False
    for part in parts:
        if part.type in SERVER_MADE and not by_server:
            raise InvalidRequest(f"Parts of type {part.type} are made by the server.")
        if part.upload_id is not None and (part.url or part.access_url or part.access_url_expires_at):
            stale_urls = True
    return Content(
        json=_without_signed_urls(json) if stale_urls else bytes(json), preview_text=preview(parts)
    )


def preview(parts: Sequence[Part]) -> str | None:
    """The line for inbox and push: the text if there is any, else what the first telling part is."""
    if len(parts) == 1 and parts[0].type == "text":  # nearly every message
        text = parts[0].text or ""
    else:
        text = "\n".join([part.text for part in parts if part.type == "text" and part.text])
    text = text.strip()
    if text:
        return text[:PREVIEW_CHARACTERS].rstrip()
    for part in parts:
        if label := _label(part):
            return label
    return None


def _label(part: Part) -> str | None:
    if part.type == "file":
        return _file_label(part)
    if part.data is UNSET:
        return None
    try:
        if part.type == "data-call":
            return _call_label(_CALL_LOG.decode(part.data))
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


def _call_label(call: CallLog) -> str:
    if call.outcome == "cancelled":
        return "Call cancelled"
    if call.outcome == "missed":
        return f"Missed {'video' if call.call_type == 'video' else 'voice'} call"
    label = f"{'Group ' if call.is_group else ''}{'Video' if call.call_type == 'video' else 'Voice'} call"
    if call.outcome == "declined":
        return f"{label} declined"
    if call.duration_seconds is None or call.duration_seconds < 0:
        return label
    seconds = round(call.duration_seconds)
    length = f"0:{seconds:02}" if seconds < 60 else f"{max(1, round(seconds / 60))} min"
    return f"{label} · {length}"


def _membership_label(change: Membership) -> str:
    if change.action == "removed":
        return f"{change.actor_user_id} removed {change.target_user_id}"
    return f"{change.target_user_id} {change.action}"


def _without_signed_urls(json: bytes | msgspec.Raw) -> bytes:
    """Clients send file parts back as they read them, with URLs signed for that one reading."""
    parts = _KEPT.decode(json)
    for part in parts:
        if part.get("uploadId", b"null") != b"null":
            for key in ("url", "accessUrl", "accessUrlExpiresAt"):
                part.pop(key, None)
    return msgspec.json.encode(parts)
