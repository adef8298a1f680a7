"""Routes on read marks (contract 2.4, endpoint 27)."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.api import parse
from gateway.api.answers import ok
from gateway.api.auth import Caller
from gateway.api.idempotency import once
from gateway.api.services import Services
from gateway.records import MarkedRead
from gateway.wire.http import Request, Response


class ReadBody(msgspec.Struct, frozen=True, rename="camel"):
    user_id: str | None = None
    last_read_message_id: str | None = None


_READ: Final = msgspec.json.Decoder(ReadBody)


async def post_read(services: Services, caller: Caller, request: Request, room_id: str) -> Response:
    body = parse.body(request, _READ)
    mark = await services.receipts.read(
        caller.tenant.id,
        room_id,
        parse.acting_user(caller, body.user_id, "userId"),
        message_id=body.last_read_message_id,
        once=once(request, caller, _marked),
    )
    return ok(mark)


def _marked(marked: MarkedRead) -> Response:
    return ok(marked.mark)
