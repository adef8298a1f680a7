"""Tenant apps and device tokens."""

from __future__ import annotations

from gateway.records import Device, Provider, TenantApp
from gateway.store import apps, devices
from gateway.store.operations.base import Operations
from gateway.store.ports import AppChange, Once


class PushOperations(Operations):
    """``gateway.store.ports.Push`` in SQL."""

    async def apps(self, tenant_id: str) -> list[TenantApp]:
        return await self._read(lambda db: apps.every(db, tenant_id))

    async def app(self, tenant_id: str, app_code: str) -> TenantApp | None:
        return await self._read(lambda db: apps.find(db, tenant_id, app_code))

    async def create_app(
        self,
        tenant_id: str,
        app_code: str,
        name: str,
        settings: AppChange,
        *,
        once: Once[TenantApp] | None = None,
    ) -> TenantApp:
        return await self._write(
            tenant_id,
            lambda db: apps.create(db, tenant_id, app_code, name, settings, self._clock()),
            once=once,
        )

    async def change_app(
        self, tenant_id: str, app_code: str, change: AppChange, *, once: Once[TenantApp] | None = None
    ) -> TenantApp:
        return await self._write(
            tenant_id, lambda db: apps.change(db, tenant_id, app_code, change, self._clock()), once=once
        )

    async def delete_app(self, tenant_id: str, app_code: str, *, once: Once[int] | None = None) -> int:
        return await self._write(
            tenant_id, lambda db: apps.delete(db, tenant_id, app_code, self._clock()), once=once
        )

    async def register_device(
        self,
        tenant_id: str,
        user_id: str,
        *,
        provider: Provider,
        token: str,
        platform: str | None,
        once: Once[Device] | None = None,
    ) -> Device:
        return await self._write(
            tenant_id,
            lambda db: devices.register(
                db,
                tenant_id,
                user_id,
                provider=provider,
                token=token,
                platform=platform,
                now=self._clock(),
            ),
            once=once,
        )

    async def forget_device(
        self, tenant_id: str, user_id: str, token: str, *, once: Once[bool] | None = None
    ) -> bool:
        return await self._write(
            tenant_id, lambda db: devices.forget(db, tenant_id, user_id, token), once=once
        )

    async def devices(self, tenant_id: str, user_id: str) -> list[Device]:
        return await self._read(lambda db: devices.every(db, tenant_id, user_id))
