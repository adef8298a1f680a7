"""What is kept of rooms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from gateway.records import RoomDetail, RoomPage, Roster
from gateway.store.ports.once import Once


class NewParticipant(msgspec.Struct, frozen=True):
    id: str
    username: str | None = None
    app_code: str | None = None
    role: str | None = None


class RoomDraft(msgspec.Struct, frozen=True, kw_only=True):
    tenant_id: str
    creator_id: str | None  # the JWT caller, who is added as first participant; None for the API key
    participants: Sequence[NewParticipant]
    name: str | None = None
    avatar_url: str | None = None
    external_id: str | None = None
    custom_type: str | None = None
    metadata: dict[str, Any] | None = None
    is_frozen: bool = False
    max_participants: int = 1000


class CreatedRoom(msgspec.Struct, frozen=True):
    """``created`` is False when ``externalId`` named a room that was there already: returned as it is."""

    room: RoomDetail
    created: bool


class RoomChange(msgspec.Struct, frozen=True, kw_only=True):
    """UNSET leaves a field alone; None clears it."""

    name: str | msgspec.UnsetType | None = msgspec.UNSET
    avatar_url: str | msgspec.UnsetType | None = msgspec.UNSET
    custom_type: str | msgspec.UnsetType | None = msgspec.UNSET
    metadata: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    is_frozen: bool | msgspec.UnsetType = msgspec.UNSET


class Rooms(Protocol):
    """Rooms, as they are listed, shown, made and changed."""

    async def rooms_page(
        self,
        tenant_id: str,
        *,
        viewer_id: str | None,
        participant_id: str | None = None,
        external_id: str | None = None,
        custom_types: Sequence[str] = (),
        limit: int = 50,
        cursor: str | None = None,
    ) -> RoomPage:
        """Newest activity first, by one query.

        With a viewer: only rooms the viewer is in and has not hidden, with the viewer's counts. Without (API
        key): all rooms of the tenant; ``participant_id`` narrows them to the rooms this user is in, hidden or
        not, with this user's counts.

        Raises:
            InvalidRequest: the cursor is not one of ours.
        """
        ...

    async def room(self, tenant_id: str, room_id: str, *, viewer_id: str | None) -> RoomDetail | None:
        """With a viewer who is not a participant: None, like an unknown room."""
        ...

    async def roster(self, tenant_id: str, room_id: str) -> Roster | None: ...
    async def contacts(self, tenant_id: str, user_id: str, *, max_room: int) -> frozenset[str]:
        """The users who share a room of at most ``max_room`` participants with this one, itself included."""
        ...

    async def create_room(
        self,
        draft: RoomDraft,
        *,
        then: Callable[[CreatedRoom], None] | None = None,
        once: Once[CreatedRoom] | None = None,
    ) -> CreatedRoom: ...

    async def change_room(
        self,
        tenant_id: str,
        room_id: str,
        change: RoomChange,
        *,
        actor_id: str | None,
        then: Callable[[RoomDetail], None] | None = None,
        once: Once[RoomDetail] | None = None,
    ) -> RoomDetail:
        """``actor_id`` None is the API key.

        Raises:
            NotFound: no such room, or the actor is not in it.
            Forbidden: the actor is not an operator.
        """
        ...
