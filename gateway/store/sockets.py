"""The room that each socket has open, kept so that its client finds it open when it comes back, on any node."""

from __future__ import annotations

from gateway.store.connection import Cursor, row
from gateway.store.ports import LogSpan, Return

# What LogSpan takes, from a row of tenants.
_SPAN = """
    log_epoch,
    (SELECT min(number) FROM log WHERE tenant_id = tenants.id),
    (SELECT max(number) FROM log WHERE tenant_id = tenants.id)
"""


def span(db: Cursor, tenant_id: str) -> LogSpan:
    """See ``Store.log_span``."""
    found = row(db, f"SELECT {_SPAN} FROM tenants WHERE id = ?", (tenant_id,))
    assert found is not None  # who asks has seen the tenant
    return _span(*found)


def returning(db: Cursor, tenant_id: str, user_id: str, socket_id: str) -> Return:
    """See ``Store.returning``."""
    found = row(
        db,
        f"""
        SELECT {_SPAN}, open_rooms.room_id, participants.user_id, opened_at FROM tenants
        LEFT JOIN open_rooms ON socket_id = ? AND open_rooms.tenant_id = tenants.id
        LEFT JOIN participants ON participants.room_id = open_rooms.room_id AND participants.user_id = ?
        WHERE tenants.id = ?
        """,
        (socket_id, user_id, tenant_id),
    )
    assert found is not None  # who asks has seen the tenant
    *span, room_id, participant, opened_at = found
    return Return(_span(*span), room_id, room_id is None or participant is not None, opened_at or 0)


def _span(epoch: str, oldest: int | None, newest: int | None) -> LogSpan:
    return LogSpan(epoch, (oldest or 1) - 1, newest or 0)


def open_room(db: Cursor, tenant_id: str, socket_id: str, room_id: str | None, now: int) -> None:
    """See ``Store.open_room``."""
    if room_id is None:
        db.execute("DELETE FROM open_rooms WHERE socket_id = ?", (socket_id,))
        return
    db.execute(
        """
        INSERT INTO open_rooms (socket_id, tenant_id, room_id, opened_at) VALUES (?, ?, ?, ?)
        ON CONFLICT (socket_id) DO UPDATE SET room_id = excluded.room_id, opened_at = excluded.opened_at
        """,
        (socket_id, tenant_id, room_id, now),
    )


def forget(db: Cursor, *, before: int, limit: int) -> int:
    """See ``Store.forget_sockets``."""
    db.execute(
        """
        DELETE FROM open_rooms WHERE socket_id IN (
            SELECT socket_id FROM open_rooms WHERE opened_at < ? ORDER BY opened_at LIMIT ?
        )
        """,
        (before, limit),
    )
    return db.connection.changes()
