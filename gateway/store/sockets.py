"""The room that each socket has open, kept so that its client finds it open when it comes back, on any node."""

from __future__ import annotations

from gateway.errors import no_such_room
from gateway.records import LogSpan, Return
from gateway.store.connection import Cursor, row

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


def returning(db: Cursor, tenant_id: str, socket_id: str) -> Return:
    """See ``Store.returning``."""
    found = row(
        db,
        f"""
        SELECT {_SPAN}, room_id, opened_at
        FROM tenants LEFT JOIN open_rooms ON socket_id = ? AND tenant_id = tenants.id
        WHERE tenants.id = ?
        """,
        (socket_id, tenant_id),
    )
    assert found is not None  # who asks has seen the tenant
    *span, room_id, opened_at = found
    return Return(_span(*span), room_id, room_id is None and opened_at is not None, opened_at or 0)


def _span(epoch: str, oldest: int | None, newest: int | None) -> LogSpan:
    return LogSpan(epoch, (oldest or 1) - 1, newest or 0)


def open_room(
    db: Cursor, tenant_id: str, user_id: str, socket_id: str, room_id: str | None, now: int
) -> None:
    """See ``Store.open_room``."""
    if room_id is None:
        db.execute("DELETE FROM open_rooms WHERE socket_id = ?", (socket_id,))
        return
    # Asked here and not before, since he may have been removed just now: then lose_room has passed already.
    found = row(
        db,
        "SELECT 1 FROM participants WHERE room_id = ? AND user_id = ? AND tenant_id = ?",
        (room_id, user_id, tenant_id),
    )
    if found is None:
        raise no_such_room()
    db.execute(
        """
        INSERT INTO open_rooms (socket_id, tenant_id, user_id, room_id, opened_at) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (socket_id) DO UPDATE SET room_id = excluded.room_id, opened_at = excluded.opened_at
        """,
        (socket_id, tenant_id, user_id, room_id, now),
    )


def lose_room(db: Cursor, tenant_id: str, user_id: str, room_id: str) -> None:
    """The user is no longer in the room that some of his sockets may have open, or find open again."""
    db.execute(
        "UPDATE open_rooms SET room_id = NULL WHERE tenant_id = ? AND user_id = ? AND room_id = ?",
        (tenant_id, user_id, room_id),
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
