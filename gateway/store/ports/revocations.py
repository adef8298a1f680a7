"""What is kept of session tokens: only which of them have been taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from gateway.store.ports.once import Once


class Revocation(msgspec.Struct, frozen=True):
    """Session tokens that are good no more: one, all that a user has, or all of a tenant.

    Attributes:
        user_id: None for every user's.
        jti: None for every token that was issued up to the second of ``revoked_at``.
        revoked_at: milliseconds since the epoch.
    """

    tenant_id: str
    user_id: str | None
    jti: str | None
    revoked_at: int

    def covers(self, *, user_id: str, jti: str, issued_at: int) -> bool:
        """Whether this takes back a token of the tenant, which was issued at this second."""
        if self.user_id not in (None, user_id):
            return False
        return issued_at <= self.revoked_at // 1000 if self.jti is None else self.jti == jti


class Revocations(Protocol):
    """Kept until no token can be alive any more that they are about."""

    async def revoke(
        self,
        tenant_id: str,
        *,
        user_id: str | None,
        jti: str | None = None,
        then: Callable[[Revocation], None] | None = None,
        once: Once[Revocation] | None = None,
    ) -> Revocation:
        """Take back one token of a user (``jti``), all he has been given so far, or all of the tenant.

        Raises:
            NotFound: no such tenant, or no such user in it.
        """
        ...

    async def is_revoked(self, tenant_id: str, user_id: str, *, jti: str, issued_at: int) -> bool: ...
    async def good_from(self, tenant_id: str, user_id: str) -> int:
        """The first second at which a token of this user can have been issued and be good; 0 when any can."""
        ...

    async def revocations(self, *, since_ms: int) -> list[Revocation]:
        """All of all tenants since this moment, oldest first."""
        ...
