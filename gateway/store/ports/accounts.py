"""What is kept of tenants and of their users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from gateway.records import Settings, Tenant, User, UserPage
from gateway.store.ports.once import Once


class TenantKeys(msgspec.Struct, frozen=True, rename="camel"):
    """Freshly made credentials; the API key is stored only as its SHA-256 and can never be shown again."""

    id: str
    api_key: str
    webhook_secret: str


class TenantCounts(msgspec.Struct, frozen=True):
    """How much a tenant has; ``messages`` counts those that were ever sent."""

    users: int
    rooms: int
    messages: int


class Accounts(Protocol):
    """Tenants, and each tenant's own users."""

    async def create_tenant(self, name: str) -> TenantKeys: ...
    async def create_first_tenant(self, name: str) -> TenantKeys | None:
        """A tenant, unless there is one already: of several nodes that start at once, one makes it."""
        ...

    async def rotate_keys(self, tenant_id: str) -> TenantKeys: ...
    async def rename_tenant(self, tenant_id: str, name: str) -> None:
        """Raises:
        NotFound: no such tenant.
        """
        ...

    async def tenant_counts(self, tenant_id: str) -> TenantCounts: ...
    async def tenants(self) -> list[Tenant]: ...
    async def tenant(self, tenant_id: str) -> Tenant | None: ...
    async def tenant_by_api_key(self, key_sha256: bytes) -> Tenant | None: ...
    async def update_tenant(
        self,
        tenant_id: str,
        *,
        settings: Callable[[Settings], Settings],
        webhook_url: str | msgspec.UnsetType | None = msgspec.UNSET,
        then: Callable[[Tenant], None] | None = None,
        once: Once[Tenant] | None = None,
    ) -> Tenant:
        """Change a tenant's settings, and where its webhooks go if that is given.

        Args:
            settings: makes of what is stored what is to be; no other change comes between. It may refuse.

        Raises:
            NotFound: no such tenant.
        """
        ...

    async def user(self, tenant_id: str, user_id: str) -> User | None: ...
    async def users_page(
        self, tenant_id: str, *, text: str = "", limit: int = 50, cursor: str | None = None
    ) -> UserPage:
        """The users with this text in their name, or at the beginning of their id, in the order of their ids.

        A page may be short, or empty, and yet not the last: it is the cursor that says so.

        Raises:
            InvalidRequest: the cursor is not one of ours.
        """
        ...

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
        """Create or update. ``username=None`` keeps the stored name (or takes the id for a new user).

        Raises:
            NotFound: ``must_exist`` and there is no such user.
        """
        ...
