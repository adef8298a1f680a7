"""LiveKit's webhook (contract 5.6): no tenant's and no user's request, signed by LiveKit itself."""

from __future__ import annotations

import msgspec

from gateway.api.answers import ok
from gateway.api.services import Services
from gateway.errors import Unauthorized, Unavailable
from gateway.wire.http import Request, Response


class TakenWebhook(msgspec.Struct, frozen=True, rename="camel"):
    """LiveKit reads the status alone."""

    taken: bool


async def post_livekit_webhook(services: Services, request: Request) -> Response:
    if services.livekit_hooks is None:
        raise Unavailable(
            "This server has no LiveKit configured.", retry_after_s=60, code="calls_unavailable"
        )
    if not services.livekit_hooks.receive(request.body, request.headers.get("authorization", "")):
        raise Unauthorized("Unauthorized: the webhook is not signed with this server's LiveKit key.")
    return ok(TakenWebhook(True))
