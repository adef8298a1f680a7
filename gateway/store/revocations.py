"""Session tokens that have been taken back."""

from __future__ import annotations

from gateway.errors import NotFound
from gateway.store import tenants, users
from gateway.store.connection import Cursor, row, rows
from gateway.store.ports.revocations import Revocation

# No token lives longer (contract D2), and their clocks may be a little ahead; what is older is about none.
KEPT_MS = (86_400 + 60) * 1000

# In the key of the table, where a null cannot be.
_ALL = ""


def revoke(db: Cursor, tenant_id: str, user_id: str | None, jti: str | None, now: int) -> Revocation:
    """See ``Store.revoke``."""
    if tenants.find(db, tenant_id) is None:
        raise NotFound("There is no such tenant.")
    if user_id is not None and users.find(db, tenant_id, user_id) is None:
        raise NotFound("There is no such user.")
    db.execute("DELETE FROM revocations WHERE revoked_at < ?", (now - KEPT_MS,))
    db.execute(
        """
        INSERT INTO revocations (tenant_id, user_id, jti, revoked_at) VALUES (?, ?, ?, ?)
        ON CONFLICT (tenant_id, user_id, jti) DO UPDATE SET revoked_at = excluded.revoked_at
        """,
        (tenant_id, user_id or _ALL, jti or _ALL, now),
    )
    return Revocation(tenant_id, user_id, jti, now)


def covers(db: Cursor, tenant_id: str, user_id: str, jti: str, issued_at: int) -> bool:
    """See ``Store.is_revoked``."""
    found = rows(
        db,
        """
        SELECT tenant_id, user_id, jti, revoked_at FROM revocations
        WHERE tenant_id = ? AND user_id IN (?, '') AND jti IN (?, '')
        """,
        (tenant_id, user_id, jti),
    )
    return any(_record(one).covers(user_id=user_id, jti=jti, issued_at=issued_at) for one in found)


def good_from(db: Cursor, tenant_id: str, user_id: str) -> int:
    """See ``Store.good_from``."""
    found = row(
        db,
        """
        SELECT max(revoked_at) FROM revocations WHERE tenant_id = ? AND user_id IN (?, '') AND jti = ''
        """,
        (tenant_id, user_id),
    )
    return 0 if found is None or found[0] is None else found[0] // 1000 + 1


def since(db: Cursor, since_ms: int) -> list[Revocation]:
    """See ``Store.revocations``."""
    found = rows(
        db,
        """
        SELECT tenant_id, user_id, jti, revoked_at FROM revocations WHERE revoked_at >= ?
        ORDER BY revoked_at, tenant_id, user_id, jti
        """,
        (since_ms,),
    )
    return [_record(one) for one in found]


def _record(found: tuple[str, str, str, int]) -> Revocation:
    tenant_id, user_id, jti, revoked_at = found
    return Revocation(tenant_id, user_id or None, jti or None, revoked_at)
