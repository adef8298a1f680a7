"""Rooms and who is in them (contract 3.2 and 3.3)."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Role: TypeAlias = Literal["OPERATOR", "MEMBER"]


class Participant(msgspec.Struct, frozen=True, rename="camel"):
    """A user's place in a room (contract 3.3)."""

    user_id: str
    role: Role
    username: str
    avatar_url: str | None
    joined_at: str


class LastMessage(msgspec.Struct, frozen=True, rename="camel"):
    preview_text: str | None
    created_at: str


class RoomSummary(msgspec.Struct, frozen=True, rename="camel"):
    """A room as the list shows it to one viewer (contract 3.2)."""

    id: str
    name: str | None
    avatar_url: str | None
    external_id: str | None
    custom_type: str | None
    metadata: msgspec.Raw  # a JSON object or null, as stored
    is_frozen: bool
    last_message: LastMessage | None
    unread_count: int
    last_read_message_id: str | None
    created_at: str


class RoomDetail(RoomSummary, frozen=True, rename="camel"):
    """A room with its roster, in the order of joining."""

    participants: list[Participant]


class RoomPage(msgspec.Struct, frozen=True, rename="camel"):
    rooms: list[RoomSummary]
    next_cursor: str | None


class Roster(msgspec.Struct, frozen=True):
    """Who is in a room now, and whether it takes messages: what authorisation and fan-out ask.

    Attributes:
        user_ids: in the order of joining; the tuple is shared, never copied per message.
        members: the same ids, for membership tests.
    """

    tenant_id: str
    room_id: str
    user_ids: tuple[str, ...]
    members: frozenset[str]
    is_frozen: bool


class Membership(msgspec.Struct, frozen=True, rename="camel"):
    """A change of a roster: ``data`` of a ``data-membership`` part (contract 3.5).

    Attributes:
        actor_user_id: who did it; the target himself where nobody else is known to have.
    """

    action: Literal["joined", "left", "removed"]
    actor_user_id: str
    target_user_id: str


class ParticipantsChanged(msgspec.Struct, frozen=True, rename="camel"):
    """The payload of ``room-participants-changed`` (contract 4.4)."""

    room_id: str
    action: Literal["joined", "left", "removed"]
    target_user_id: str
    actor_user_id: str
