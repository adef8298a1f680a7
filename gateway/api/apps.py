"""Routes on the tenant's apps (contract 2.2, endpoint 9)."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.api import parse
from gateway.api.answers import created, ok
from gateway.api.auth import Caller
from gateway.api.idempotency import once
from gateway.api.services import Services
from gateway.chat.apps import AppList, DeletedApp, OneSignal, view
from gateway.records import PayloadType, TenantApp
from gateway.store.ports import AppChange
from gateway.wire.http import Request, Response

# Python's $ would let a line feed through, which (?!\n) does not.
AppCode = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}(?!\n)$")]
AppName = Annotated[str, Meta(min_length=1, max_length=80)]


class AppPatchBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is left out stays as it is; null clears."""

    name: AppName | UnsetType = UNSET
    push_payload_type: PayloadType | UnsetType = UNSET
    one_signal_config: OneSignal | UnsetType | None = UNSET
    fcm_config: dict[str, Any] | UnsetType | None = UNSET
    pushy_config: dict[str, Any] | UnsetType | None = UNSET


class AppBody(AppPatchBody, frozen=True, kw_only=True, rename="camel"):
    """Without a name, an app is called by its code."""

    app_code: AppCode


_APP: Final = msgspec.json.Decoder(AppBody)
_PATCH: Final = msgspec.json.Decoder(AppPatchBody)


async def list_apps(services: Services, caller: Caller, request: Request) -> Response:
    return ok(AppList([view(app) for app in await services.apps.every(caller.tenant.id)]))


async def post_app(services: Services, caller: Caller, request: Request) -> Response:
    body = parse.body(request, _APP)
    name = body.app_code if body.name is UNSET else body.name
    return _made(
        await services.apps.create(
            caller.tenant.id, body.app_code, name, _change(body), once=once(request, caller, _made)
        )
    )


async def get_app(services: Services, caller: Caller, request: Request, app_code: str) -> Response:
    return ok(view(await services.apps.one(caller.tenant.id, app_code)))


async def patch_app(services: Services, caller: Caller, request: Request, app_code: str) -> Response:
    body = parse.body(request, _PATCH)
    return _changed(
        await services.apps.change(
            caller.tenant.id, app_code, _change(body), once=once(request, caller, _changed)
        )
    )


async def delete_app(services: Services, caller: Caller, request: Request, app_code: str) -> Response:
    def answer(detached_users: int) -> Response:
        return ok(DeletedApp(app_code, detached_users))

    return answer(await services.apps.delete(caller.tenant.id, app_code, once=once(request, caller, answer)))


def _change(body: AppPatchBody) -> AppChange:
    one_signal = body.one_signal_config
    return AppChange(
        name=body.name,
        push_payload_type=body.push_payload_type,
        one_signal_config=msgspec.to_builtins(one_signal)
        if isinstance(one_signal, OneSignal)
        else one_signal,
        fcm_config=body.fcm_config,
        pushy_config=body.pushy_config,
    )


def _made(app: TenantApp) -> Response:
    return created(view(app))


def _changed(app: TenantApp) -> Response:
    return ok(view(app))
