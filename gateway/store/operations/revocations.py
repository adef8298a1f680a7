"""Session tokens that have been taken back."""

from __future__ import annotations

from collections.abc import Callable

from gateway.store import revocations
from gateway.store.operations.base import Operations
from gateway.store.ports import Once, Revocation


class RevocationOperations(Operations):
    """``gateway.store.ports.Revocations`` in SQL."""

    async def revoke(
        self,
        tenant_id: str,
        *,
        user_id: str | None,
        jti: str | None = None,
        then: Callable[[Revocation], None] | None = None,
        once: Once[Revocation] | None = None,
    ) -> Revocation:
        return await self._write(
            tenant_id,
            lambda db: revocations.revoke(db, tenant_id, user_id, jti, self._clock()),
            then,
            once,
        )

    async def is_revoked(self, tenant_id: str, user_id: str, *, jti: str, issued_at: int) -> bool:
        return await self._read(lambda db: revocations.covers(db, tenant_id, user_id, jti, issued_at))

    async def good_from(self, tenant_id: str, user_id: str) -> int:
        return await self._read(lambda db: revocations.good_from(db, tenant_id, user_id))

    async def revocations(self, *, since_ms: int) -> list[Revocation]:
        return await self._read(lambda db: revocations.since(db, since_ms))
