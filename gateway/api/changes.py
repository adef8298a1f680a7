"""Routes that change messages which are there (contract 2.4, endpoints 21 to 24)."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from gateway.api import parse
from gateway.api.answers import encoded, ok
from gateway.api.auth import Caller
from gateway.api.idempotency import once
from gateway.api.services import Services
from gateway.store.ports import ChangedMessage
from gateway.wire.http import Request, Response


class EditBody(msgspec.Struct, frozen=True, rename="camel"):
    parts: msgspec.Raw
    user_id: str | None = None


class ReactionBody(msgspec.Struct, frozen=True, rename="camel"):
    emoji: Annotated[str, Meta(min_length=1, max_length=64)]
    user_id: str | None = None


class PinBody(msgspec.Struct, frozen=True, rename="camel"):
    user_id: str | None = None


class ChangeQuery(msgspec.Struct, frozen=True, rename="camel"):
    user_id: str | None = None


_EDIT: Final = msgspec.json.Decoder(EditBody)
_REACTION: Final = msgspec.json.Decoder(ReactionBody)
_PIN: Final = msgspec.json.Decoder(PinBody)


async def patch_message(
    services: Services, caller: Caller, request: Request, room_id: str, message_id: str
) -> Response:
    body = parse.body(request, _EDIT)
    parse.viewing_user(caller, body.user_id, "userId")
    json = await services.changes.edit(
        caller.tenant.id,
        room_id,
        message_id,
        actor_id=caller.user_id,
        parts=body.parts,
        once=once(request, caller, _changed),
    )
    return encoded(200, json)


async def delete_message(
    services: Services, caller: Caller, request: Request, room_id: str, message_id: str
) -> Response:
    query = parse.query(request, ChangeQuery)
    parse.viewing_user(caller, query.user_id, "userId")
    json = await services.changes.delete(
        caller.tenant.id,
        room_id,
        message_id,
        actor_id=caller.user_id,
        settings=services.tenants.settings(caller.tenant).chat,
        once=once(request, caller, _changed),
    )
    return encoded(200, json)


async def post_reaction(
    services: Services, caller: Caller, request: Request, room_id: str, message_id: str
) -> Response:
    body = parse.body(request, _REACTION)
    json = await services.changes.react(
        caller.tenant.id,
        room_id,
        message_id,
        user_id=parse.acting_user(caller, body.user_id, "userId"),
        emoji=body.emoji,
        by_server=caller.is_server,
        once=once(request, caller, _changed),
    )
    return encoded(200, json)


async def post_pin(
    services: Services, caller: Caller, request: Request, room_id: str, message_id: str
) -> Response:
    body = parse.body(request, _PIN)
    json = await services.changes.pin(
        caller.tenant.id,
        room_id,
        message_id,
        user_id=parse.viewing_user(caller, body.user_id, "userId"),
        pinned=True,
        by_server=caller.is_server,
        once=once(request, caller, _changed),
    )
    return encoded(200, json)


async def delete_pin(
    services: Services, caller: Caller, request: Request, room_id: str, message_id: str
) -> Response:
    query = parse.query(request, ChangeQuery)
    json = await services.changes.pin(
        caller.tenant.id,
        room_id,
        message_id,
        user_id=parse.viewing_user(caller, query.user_id, "userId"),
        pinned=False,
        by_server=caller.is_server,
        once=once(request, caller, _changed),
    )
    return encoded(200, json)


def _changed(changed: ChangedMessage) -> Response:
    return ok(changed.message)
