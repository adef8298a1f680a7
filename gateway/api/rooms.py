"""Routes on rooms (contract 2.3)."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.api import parse
from gateway.api.answers import created, ok
from gateway.api.auth import Caller
from gateway.api.idempotency import once
from gateway.api.services import Services
from gateway.api.users import Name, UserId
from gateway.records import Role
from gateway.store.ports import CreatedRoom, NewParticipant, RoomChange, RoomDraft
from gateway.wire.http import Request, Response

RoomName = Annotated[str, Meta(max_length=500)]
AvatarUrl = Annotated[str, Meta(max_length=8192)]
CustomType = Annotated[str, Meta(max_length=255)]
ExternalId = Annotated[str, Meta(min_length=1, max_length=1024)]


class RoomsQuery(msgspec.Struct, frozen=True, rename="camel"):
    participant_id: str | None = None
    viewer_id: str | None = None
    external_id: str | None = None
    custom_types_filter: str | None = None
    limit: int = 50
    cursor: str | None = None


class RoomQuery(msgspec.Struct, frozen=True, rename="camel"):
    viewer_id: str | None = None


class ParticipantBody(msgspec.Struct, frozen=True, rename="camel"):
    id: UserId
    username: Name | None = None
    app_code: Annotated[str, Meta(max_length=255)] | None = None
    role: Role | None = None


class RoomBody(msgspec.Struct, frozen=True, rename="camel"):
    participants: Annotated[list[ParticipantBody], Meta(max_length=10_000)] | None = None
    name: RoomName | None = None
    avatar_url: AvatarUrl | None = None
    external_id: ExternalId | None = None
    custom_type: CustomType | None = None
    metadata: dict[str, Any] | None = None
    is_frozen: bool | None = None


class RoomPatchBody(msgspec.Struct, frozen=True, rename="camel"):
    """What is left out stays as it is; null clears."""

    name: RoomName | UnsetType | None = UNSET
    avatar_url: AvatarUrl | UnsetType | None = UNSET
    custom_type: CustomType | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType | None = UNSET
    is_frozen: bool | UnsetType = UNSET


_ROOM: Final = msgspec.json.Decoder(RoomBody)
_PATCH: Final = msgspec.json.Decoder(RoomPatchBody)


async def list_rooms(services: Services, caller: Caller, request: Request) -> Response:
    query = parse.query(request, RoomsQuery)
    participant_id = parse.viewing_user(caller, query.participant_id, "participantId")
    viewer_id = parse.viewing_user(caller, query.viewer_id, "viewerId")
    page = await services.rooms.page(
        caller.tenant.id,
        viewer_id=viewer_id,
        participant_id=participant_id if viewer_id is None else None,
        external_id=query.external_id,
        custom_types=parse.comma_list(query.custom_types_filter),
        limit=parse.page_size(query.limit),
        cursor=query.cursor,
    )
    return ok(page)


async def post_room(services: Services, caller: Caller, request: Request) -> Response:
    body = parse.body(request, _ROOM)
    draft = RoomDraft(
        tenant_id=caller.tenant.id,
        creator_id=caller.user_id,
        participants=[
            NewParticipant(entry.id, entry.username, entry.app_code, entry.role)
            for entry in body.participants or ()
        ],
        name=body.name,
        avatar_url=body.avatar_url,
        external_id=body.external_id,
        custom_type=body.custom_type,
        metadata=body.metadata,
        is_frozen=body.is_frozen or False,
    )
    return _made(await services.rooms.create(draft, once=once(request, caller, _made)))


async def get_room(services: Services, caller: Caller, request: Request, room_id: str) -> Response:
    query = parse.query(request, RoomQuery)
    viewer_id = parse.viewing_user(caller, query.viewer_id, "viewerId")
    return ok(await services.rooms.detail(caller.tenant.id, room_id, viewer_id=viewer_id))


async def patch_room(services: Services, caller: Caller, request: Request, room_id: str) -> Response:
    body = parse.body(request, _PATCH)
    change = RoomChange(
        name=body.name,
        avatar_url=body.avatar_url,
        custom_type=body.custom_type,
        metadata=body.metadata,
        is_frozen=body.is_frozen,
    )
    room = await services.rooms.change(
        caller.tenant.id, room_id, change, actor_id=caller.user_id, once=once(request, caller, ok)
    )
    return ok(room)


def _made(made: CreatedRoom) -> Response:
    """201 for a new room, 200 for the one that had this ``externalId`` before (contract 10, row 9)."""
    return created(made.room) if made.created else ok(made.room)
