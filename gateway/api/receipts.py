"""Routes on read and delivery marks (contract 2.4, endpoints 27 and 28)."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.api import parse
from gateway.api.answers import ok
from gateway.api.auth import Caller
from gateway.api.idempotency import once
from gateway.api.later import Later
from gateway.api.services import Services
from gateway.records import DeliveryMark, MarkedRead
from gateway.wire.http import Request, Response


class ReadBody(msgspec.Struct, frozen=True, rename="camel"):
    user_id: str | None = None
    last_read_message_id: str | None = None


class DeliveryBody(msgspec.Struct, frozen=True, rename="camel"):
    user_id: str | None = None
    last_delivered_message_id: str | None = None


_READ: Final = msgspec.json.Decoder(ReadBody)
_DELIVERY: Final = msgspec.json.Decoder(DeliveryBody)


async def post_read(services: Services, caller: Caller, request: Request, room_id: str) -> Later[MarkedRead]:
    body = parse.body(request, _READ)
    marked = services.receipts.read(
        caller.tenant.id,
        room_id,
        parse.acting_user(caller, body.user_id, "userId"),
        message_id=body.last_read_message_id,
        once=once(request, caller, _marked),
    )
    return Later(marked, _marked)


async def post_delivery(
    services: Services, caller: Caller, request: Request, room_id: str
) -> Later[DeliveryMark]:
    body = parse.body(request, _DELIVERY)
    marked = services.receipts.delivered(
        caller.tenant.id,
        room_id,
        parse.acting_user(caller, body.user_id, "userId"),
        message_id=body.last_delivered_message_id,
        once=once(request, caller, ok),
    )
    return Later(marked, ok)


def _marked(marked: MarkedRead) -> Response:
    return ok(marked.mark)
