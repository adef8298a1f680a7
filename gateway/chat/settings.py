"""What a tenant can set, with limits and defaults (contract 3.10, D8, D9).

Only what differs from the defaults is stored, so that a better default reaches every tenant that did not
choose. Keys that are not known here are kept and shown as they came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

MOST: Final = 2**53
"""The most that any number may be: whole in every client, a JavaScript one included."""

Bytes: TypeAlias = Annotated[int, Meta(ge=1, le=MOST)]


class Section(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of the sections."""


class MediaSettings(Section, frozen=True):
    enabled: bool = True
    max_file_size_bytes: Bytes = 10 * 1024 * 1024
    max_image_size_bytes: Bytes = 5 * 1024 * 1024
    allowed_mime_types: tuple[str, ...] = ("*/*",)
    presign_ttl_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 300


class ChatSettings(Section, frozen=True):
    deleted_message_display: Literal["placeholder", "hidden"] = "placeholder"
    deleted_message_placeholder: Annotated[str, Meta(max_length=500)] = "This message was deleted"
    media: MediaSettings = MediaSettings()


class CallSettings(Section, frozen=True):
    enabled: bool = True
    max_participants: Annotated[int, Meta(ge=2, le=32)] = 8
    default_type: Literal["audio", "video"] = "video"
    ring_timeout_seconds: Annotated[int, Meta(ge=15, le=120)] = 45
    creator_end_leaves: bool = False


class PresenceSettings(Section, frozen=True):
    tenant_limit: Annotated[int, Meta(ge=0, le=MOST)] = 2_000
    scope: Literal["auto", "tenant", "contacts"] = "auto"


class TenantSettings(Section, frozen=True):
    chat: ChatSettings = ChatSettings()
    calls: CallSettings = CallSettings()
    presence: PresenceSettings = PresenceSettings()


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``over`` laid on it, object by object, key by key."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result
