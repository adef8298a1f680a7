"""Routes on device tokens (contract 2.1, endpoints 3 to 5)."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from gateway.api import parse
from gateway.api.answers import created, ok
from gateway.api.auth import Caller
from gateway.api.idempotency import once
from gateway.api.services import Services
from gateway.records import Provider
from gateway.wire.http import Request, Response


class DeviceBody(msgspec.Struct, frozen=True, rename="camel"):
    provider: Provider
    token: Annotated[str, Meta(min_length=1, max_length=4096)]
    platform: Annotated[str, Meta(max_length=100)] | None = None


class ForgottenDevice(msgspec.Struct, frozen=True, rename="camel"):
    """``removed`` is False when the user had no such token, which is a success too: logging out must not
    fail.
    """

    removed: bool


_DEVICE: Final = msgspec.json.Decoder(DeviceBody)


async def post_device(services: Services, caller: Caller, request: Request, user_id: str) -> Response:
    body = parse.body(request, _DEVICE)
    device = await services.devices.register(
        caller.tenant.id,
        user_id,
        provider=body.provider,
        token=body.token,
        platform=body.platform,
        once=once(request, caller, created),
    )
    return created(device)


async def post_own_device(services: Services, caller: Caller, request: Request) -> Response:
    return await post_device(services, caller, request, parse.own_id(caller))


async def delete_own_device(services: Services, caller: Caller, request: Request, token: str) -> Response:
    removed = await services.devices.forget(
        caller.tenant.id, parse.own_id(caller), token, once=once(request, caller, _forgotten)
    )
    return _forgotten(removed)


def _forgotten(removed: bool) -> Response:
    return ok(ForgottenDevice(removed))
