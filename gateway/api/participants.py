"""Routes on participants, and on what a participant does to a room for himself alone (contract 2.3, endpoints
14 to 18).
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.api import parse
from gateway.api.answers import ok
from gateway.api.auth import Caller
from gateway.api.idempotency import once
from gateway.api.services import Services
from gateway.api.users import Name, UserId
from gateway.chat.participants import ClearedHistory, DeletedForMe
from gateway.records import Role
from gateway.store.ports import NewParticipant, RosterChange
from gateway.wire.http import Request, Response


class JoinBody(msgspec.Struct, frozen=True, rename="camel"):
    user_id: UserId
    username: Name | None = None
    actor_user_id: UserId | None = None


class ActorQuery(msgspec.Struct, frozen=True, rename="camel"):
    actor_user_id: UserId | None = None


class RoleBody(msgspec.Struct, frozen=True, rename="camel"):
    role: Role


class OwnRoomQuery(msgspec.Struct, frozen=True, rename="camel"):
    user_id: str | None = None


class ClearBody(msgspec.Struct, frozen=True, rename="camel"):
    user_id: str | None = None


_JOIN: Final = msgspec.json.Decoder(JoinBody)
_ROLE: Final = msgspec.json.Decoder(RoleBody)
_CLEAR: Final = msgspec.json.Decoder(ClearBody)


async def post_participant(services: Services, caller: Caller, request: Request, room_id: str) -> Response:
    body = parse.body(request, _JOIN)
    room = await services.participants.add(
        caller.tenant.id,
        room_id,
        NewParticipant(body.user_id, body.username),
        actor_id=parse.viewing_user(caller, body.actor_user_id, "actorUserId"),
        by_server=caller.is_server,
        once=once(request, caller, _changed),
    )
    return ok(room)


async def delete_participant(
    services: Services, caller: Caller, request: Request, room_id: str, user_id: str
) -> Response:
    query = parse.query(request, ActorQuery)
    room = await services.participants.remove(
        caller.tenant.id,
        room_id,
        user_id,
        actor_id=parse.viewing_user(caller, query.actor_user_id, "actorUserId"),
        by_server=caller.is_server,
        once=once(request, caller, _changed),
    )
    return ok(room)


async def patch_participant(
    services: Services, caller: Caller, request: Request, room_id: str, user_id: str
) -> Response:
    body = parse.body(request, _ROLE)
    room = await services.participants.change_role(
        caller.tenant.id,
        room_id,
        user_id,
        body.role,
        actor_id=caller.user_id,
        once=once(request, caller, ok),
    )
    return ok(room)


async def delete_room_for_me(services: Services, caller: Caller, request: Request, room_id: str) -> Response:
    def answer(change: RosterChange | None) -> Response:
        if change is None:
            return ok(DeletedForMe(room_id, "hidden", left=False, hidden=True))
        return ok(DeletedForMe(room_id, "left", left=True, hidden=False))

    query = parse.query(request, OwnRoomQuery)
    user_id = parse.acting_user(caller, query.user_id, "userId")
    return answer(
        await services.participants.delete_for(
            caller.tenant.id, room_id, user_id, once=once(request, caller, answer)
        )
    )


async def post_clear_history(services: Services, caller: Caller, request: Request, room_id: str) -> Response:
    def answer(cleared_at: str) -> Response:
        return ok(ClearedHistory(room_id, cleared_at))

    body = parse.body(request, _CLEAR)
    user_id = parse.acting_user(caller, body.user_id, "userId")
    return answer(
        await services.participants.clear_history(
            caller.tenant.id, room_id, user_id, once=once(request, caller, answer)
        )
    )


def _changed(change: RosterChange) -> Response:
    return ok(change.room)
