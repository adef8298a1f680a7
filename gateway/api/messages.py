"""Routes on messages (contract 2.4)."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from gateway.api import parse
from gateway.api.answers import created, encoded, ok
from gateway.api.auth import Caller
from gateway.api.idempotency import once
from gateway.api.later import Later
from gateway.api.services import Services
from gateway.records import MessageList, Sent
from gateway.store.ports import Forwarded
from gateway.wire.http import Request, Response

# One commit holds all copies of a forwarded message, and other writes wait for it.
MOST_TARGETS: Final = 32

Id = Annotated[str, Meta(min_length=1, max_length=255)]


class MessageBody(msgspec.Struct, frozen=True, rename="camel"):
    parts: msgspec.Raw
    sender_id: str | None = None
    client_message_id: Id | None = None
    parent_message_id: Id | None = None


class MessagesQuery(msgspec.Struct, frozen=True, rename="camel"):
    viewer_id: str | None = None
    limit: int = 50
    cursor: str | None = None


class ForwardBody(msgspec.Struct, frozen=True, rename="camel"):
    target_room_ids: Annotated[list[str], Meta(min_length=1, max_length=MOST_TARGETS)]
    user_id: str | None = None


class PinnedQuery(msgspec.Struct, frozen=True, rename="camel"):
    viewer_id: str | None = None


_MESSAGE: Final = msgspec.json.Decoder(MessageBody)
_FORWARD: Final = msgspec.json.Decoder(ForwardBody)


async def list_messages(services: Services, caller: Caller, request: Request, room_id: str) -> Response:
    query = parse.query(request, MessagesQuery)
    viewer_id = parse.viewing_user(caller, query.viewer_id, "viewerId")
    limit = parse.page_size(query.limit)
    return ok(
        await services.messages.page(
            caller.tenant.id, room_id, viewer_id=viewer_id, limit=limit, cursor=query.cursor
        )
    )


async def post_message(services: Services, caller: Caller, request: Request, room_id: str) -> Later[Sent]:
    body = parse.body(request, _MESSAGE)
    sent = services.messages.send(
        caller.tenant.id,
        room_id,
        parse.acting_user(caller, body.sender_id, "senderId"),
        parts=body.parts,
        client_message_id=body.client_message_id,
        parent_message_id=body.parent_message_id,
        by_server=caller.is_server,
        once=once(request, caller, _sent),
    )
    return Later(sent, _sent)


async def post_forward(
    services: Services, caller: Caller, request: Request, room_id: str, message_id: str
) -> Response:
    body = parse.body(request, _FORWARD)
    json = await services.messages.forward(
        caller.tenant.id,
        room_id,
        message_id,
        parse.acting_user(caller, body.user_id, "userId"),
        target_room_ids=body.target_room_ids,
        by_server=caller.is_server,
        once=once(request, caller, _forwarded),
    )
    return encoded(201, json)


async def list_pinned_messages(
    services: Services, caller: Caller, request: Request, room_id: str
) -> Response:
    query = parse.query(request, PinnedQuery)
    viewer_id = parse.viewing_user(caller, query.viewer_id, "viewerId")
    return ok(await services.messages.pinned(caller.tenant.id, room_id, viewer_id=viewer_id))


async def list_replies(
    services: Services, caller: Caller, request: Request, room_id: str, message_id: str
) -> Response:
    query = parse.query(request, MessagesQuery)
    viewer_id = parse.viewing_user(caller, query.viewer_id, "viewerId")
    return ok(
        await services.messages.replies(
            caller.tenant.id,
            room_id,
            message_id,
            viewer_id=viewer_id,
            limit=parse.page_size(query.limit),
            cursor=query.cursor,
        )
    )


def _sent(sent: Sent) -> Response:
    # What went to the sockets, or what had been stored before under the same id.
    return created(sent.message) if sent.event is None else encoded(201, sent.event.payload)


def _forwarded(forwarded: Forwarded) -> Response:
    return created(MessageList([sent.message for sent in forwarded.sent]))
