"""What is kept for push: the tenant's apps, and where each user can be reached."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from gateway.records import Device, PayloadType, Provider, TenantApp
from gateway.store.ports.once import Once


class AppChange(msgspec.Struct, frozen=True, kw_only=True):
    """UNSET leaves a field alone; None clears it."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    push_payload_type: PayloadType | msgspec.UnsetType = msgspec.UNSET
    one_signal_config: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    fcm_config: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    pushy_config: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET


class Push(Protocol):
    """Tenant apps and device tokens. Every tenant has the app ``default``."""

    async def apps(self, tenant_id: str) -> list[TenantApp]:
        """Oldest first."""
        ...

    async def app(self, tenant_id: str, app_code: str) -> TenantApp | None: ...
    async def create_app(
        self,
        tenant_id: str,
        app_code: str,
        name: str,
        settings: AppChange,
        *,
        once: Once[TenantApp] | None = None,
    ) -> TenantApp:
        """Raises:
        Conflict: there is one of this code.
        """
        ...

    async def change_app(
        self, tenant_id: str, app_code: str, change: AppChange, *, once: Once[TenantApp] | None = None
    ) -> TenantApp:
        """Raises:
        NotFound: there is none of this code.
        """
        ...

    async def delete_app(self, tenant_id: str, app_code: str, *, once: Once[int] | None = None) -> int:
        """Returns how many users were detached from it, which makes them the default app's.

        Raises:
            NotFound: there is none of this code.
            Conflict: it is the default app.
        """
        ...

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
        """Note a user's token, which is then nobody else's. One that was his already stays the same device.

        Raises:
            NotFound: there is no such user.
        """
        ...

    async def forget_device(
        self, tenant_id: str, user_id: str, token: str, *, once: Once[bool] | None = None
    ) -> bool:
        """Whether this user had the token."""
        ...

    async def devices(self, tenant_id: str, user_id: str) -> list[Device]:
        """Oldest first."""
        ...
