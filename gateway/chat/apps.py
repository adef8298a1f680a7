"""The tenant's own apps, and the push providers of each (contract 3.11)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gateway.errors import InvalidRequest, NotFound
from gateway.records import PayloadType, TenantApp
from gateway.store.ports import AppChange, Once, Store

CONFIG_BYTES = 16_384


class OneSignal(msgspec.Struct, frozen=True, rename="camel"):
    """How OneSignal is called for an app."""

    app_id: Annotated[str, Meta(min_length=1, max_length=500)]
    rest_api_key: Annotated[str, Meta(min_length=1, max_length=1000)]


class AppView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An app as it is shown: of what its providers were given, only whether there is something."""

    id: str
    app_code: str
    name: str
    push_payload_type: PayloadType
    has_one_signal_config: bool
    has_fcm_config: bool
    has_pushy_config: bool
    created_at: str
    updated_at: str


class AppList(msgspec.Struct, frozen=True):
    apps: list[AppView]


class DeletedApp(msgspec.Struct, frozen=True, rename="camel"):
    app_code: str
    detached_users: int


def view(app: TenantApp) -> AppView:
    """The app without its secrets."""
    return AppView(
        id=app.id,
        app_code=app.app_code,
        name=app.name,
        push_payload_type=app.push_payload_type,
        has_one_signal_config=app.one_signal_config is not None,
        has_fcm_config=app.fcm_config is not None,
        has_pushy_config=app.pushy_config is not None,
        created_at=app.created_at,
        updated_at=app.updated_at,
    )


class Apps:
    """What REST offers on the caller's apps."""

    def __init__(self, *, store: Store) -> None:
        self._store = store

    async def every(self, tenant_id: str) -> list[TenantApp]:
        """Oldest first; the default app is always among them."""
        return await self._store.apps(tenant_id)

    async def one(self, tenant_id: str, app_code: str) -> TenantApp:
        """The app of this code.

        Raises:
            NotFound: there is none.
        """
        app = await self._store.app(tenant_id, app_code)
        if app is None:
            raise NotFound("There is no such app.")
        return app

    async def create(
        self,
        tenant_id: str,
        app_code: str,
        name: str,
        settings: AppChange,
        *,
        once: Once[TenantApp] | None = None,
    ) -> TenantApp:
        """Make an app. Users that were given its code before belong to it.

        Raises:
            Conflict: there is one of this code.
            InvalidRequest: a provider's settings are over their limit.
        """
        _check(settings)
        return await self._store.create_app(tenant_id, app_code, name, settings, once=once)

    async def change(
        self, tenant_id: str, app_code: str, change: AppChange, *, once: Once[TenantApp] | None = None
    ) -> TenantApp:
        """Change what is given.

        Raises:
            NotFound: there is no such app.
            InvalidRequest: a provider's settings are over their limit.
        """
        _check(change)
        return await self._store.change_app(tenant_id, app_code, change, once=once)

    async def delete(self, tenant_id: str, app_code: str, *, once: Once[int] | None = None) -> int:
        """Delete an app; its users are the default app's from then on. Returns how many they are.

        Raises:
            NotFound: there is no such app.
            Conflict: it is the default app.
        """
        return await self._store.delete_app(tenant_id, app_code, once=once)


def _check(change: AppChange) -> None:
    configs: dict[str, Any] = {
        "oneSignalConfig": change.one_signal_config,
        "fcmConfig": change.fcm_config,
        "pushyConfig": change.pushy_config,
    }
    for name, config in configs.items():
        if isinstance(config, dict) and len(msgspec.json.encode(config)) > CONFIG_BYTES:
            raise InvalidRequest(f"{name} must be at most {CONFIG_BYTES} bytes of JSON.")
