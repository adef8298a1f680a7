"""Tenants and users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from gateway.records import Settings, Tenant, User, UserPage
from gateway.store import tenants, users
from gateway.store.operations.base import Operations
from gateway.store.ports import Once, TenantCounts, TenantKeys


class AccountOperations(Operations):
    """``gateway.store.ports.Accounts`` in SQL."""

    async def create_tenant(self, name: str) -> TenantKeys:
        return await self._write(None, lambda db: tenants.create(db, name, self._clock()))

    async def create_first_tenant(self, name: str) -> TenantKeys | None:
        return await self._write(
            tenants.FIRST, lambda db: None if tenants.every(db) else tenants.create(db, name, self._clock())
        )

    async def rotate_keys(self, tenant_id: str) -> TenantKeys:
        return await self._write(tenant_id, lambda db: tenants.rotate_keys(db, tenant_id))

    async def rename_tenant(self, tenant_id: str, name: str) -> None:
        await self._write(tenant_id, lambda db: tenants.rename(db, tenant_id, name))

    async def tenant_counts(self, tenant_id: str) -> TenantCounts:
        return await self._read(lambda db: tenants.counts(db, tenant_id))

    async def tenants(self) -> list[Tenant]:
        return await self._read(tenants.every)

    async def tenant(self, tenant_id: str) -> Tenant | None:
        return await self._read(lambda db: tenants.find(db, tenant_id))

    async def tenant_by_api_key(self, key_sha256: bytes) -> Tenant | None:
        return await self._read(lambda db: tenants.find_by_api_key(db, key_sha256))

    async def update_tenant(
        self,
        tenant_id: str,
        *,
        settings: Callable[[Settings], Settings],
        webhook_url: str | msgspec.UnsetType | None = msgspec.UNSET,
        then: Callable[[Tenant], None] | None = None,
        once: Once[Tenant] | None = None,
    ) -> Tenant:
        return await self._write(
            tenant_id, lambda db: tenants.update(db, tenant_id, settings, webhook_url), then, once
        )

    async def user(self, tenant_id: str, user_id: str) -> User | None:
        return await self._read(lambda db: users.find(db, tenant_id, user_id))

    async def users_page(
        self, tenant_id: str, *, text: str = "", limit: int = 50, cursor: str | None = None
    ) -> UserPage:
        return await self._read(lambda db: users.page(db, tenant_id, text=text, limit=limit, cursor=cursor))

    async def upsert_user(
        self,
        tenant_id: str,
        user_id: str,
        *,
        username: str | None,
        app_code: str | msgspec.UnsetType | None = msgspec.UNSET,
        avatar_url: str | msgspec.UnsetType | None = msgspec.UNSET,
        metadata: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET,
        must_exist: bool = False,
        once: Once[User] | None = None,
    ) -> User:
        return await self._write(
            tenant_id,
            lambda db: users.upsert(
                db,
                tenant_id,
                user_id,
                username=username,
                app_code=app_code,
                avatar_url=avatar_url,
                metadata=metadata,
                must_exist=must_exist,
                now=self._clock(),
            ),
            once=once,
        )
