"""Routes on the caller's tenant (contract 2.2)."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.api import parse
from gateway.api.answers import ok
from gateway.api.auth import Caller
from gateway.api.idempotency import once
from gateway.api.services import Services
from gateway.records import Tenant
from gateway.wire.http import Request, Response

_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])


async def get_settings(services: Services, caller: Caller, request: Request) -> Response:
    return ok(services.tenants.view(caller.tenant, for_backend=caller.is_server))


async def patch_settings(services: Services, caller: Caller, request: Request) -> Response:
    def answer(tenant: Tenant) -> Response:
        return ok(services.tenants.view(tenant, for_backend=True))

    patch = parse.body(request, _OBJECT)
    return answer(await services.tenants.change(caller.tenant.id, patch, once=once(request, caller, answer)))
