"""Answers kept under an ``Idempotency-Key`` (contract D5), in the transaction of the write they belong to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gateway.errors import Conflict
from gateway.store.connection import Cursor, row
from gateway.store.ports import Once, Replayed

T = TypeVar("T")

KEPT_MS = 24 * 60 * 60 * 1000


def run_once(db: Cursor, job: Callable[[Cursor], T], once: Once[T], now: int) -> T:
    """Run ``job`` unless its key was used before, and keep the answer.

    Raises:
        Replayed: it was, for the same request.
        Conflict: it was, for another one.
    """
    scope = (once.tenant_id, once.credential, once.key)
    kept = row(
        db,
        """
        SELECT fingerprint, status, body FROM idempotency
        WHERE tenant_id = ? AND credential = ? AND "key" = ? AND expires_at > ?
        """,
        (*scope, now),
    )
    if kept is not None:
        fingerprint, status, body = kept
        if fingerprint != once.fingerprint:
            raise Conflict(
                "This Idempotency-Key was used for another request.", code="idempotency_key_reused"
            )
        raise Replayed(status, body)
    result = job(db)
    status, body = once.answer(result)
    db.execute(
        """
        INSERT INTO idempotency (tenant_id, credential, "key", fingerprint, status, body, expires_at)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (tenant_id, credential, "key") DO UPDATE SET
            fingerprint = excluded.fingerprint, status = excluded.status, body = excluded.body,
            expires_at = excluded.expires_at
        """,
        (*scope, once.fingerprint, status, body, now + KEPT_MS),
    )
    # Each new record takes up to two expired ones of its tenant with it: the table shrinks to a day's worth
    # without a sweeper.
    db.execute(
        """
        DELETE FROM idempotency WHERE (tenant_id, credential, "key") IN (
            SELECT tenant_id, credential, "key" FROM idempotency
            WHERE tenant_id = ? AND expires_at <= ? ORDER BY expires_at LIMIT 2
        )
        """,
        (once.tenant_id, now),
    )
    return result
