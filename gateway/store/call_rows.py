"""Reading calls: one, those that live, ring or are due, and those that were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.store import cursors
from gateway.store.connection import Cursor, row, rows
from signaling import errors
from signaling.call import Call, Party, Standing, Status
from signaling.ports import Stray

# As the partial indices say it, so that they are used.
LIVE = "status IN ('ringing', 'active')"
IN_CALL = "standing IN ('ringing', 'joined')"

# What fetch takes, in its order.
SELECT = """
    SELECT calls.id, calls.tenant_id, calls.room_id, calls.type, calls.status, calls.created_by, calls.is_group,
        calls.media_room, calls.max_participants, calls.ring_s, calls.created_at, calls.ring_until,
        calls.started_at, calls.ended_at, calls.end_reason
    FROM calls
"""
# Placeholders in one statement.
_AT_ONCE = 500


def find(db: Cursor, call_id: str) -> Call | None:
    """See ``CallStore.call``."""
    calls = fetch(db, f"{SELECT} WHERE id = ?", (call_id,))
    return calls[0] if calls else None


def live_media_rooms(db: Cursor) -> list[str]:
    """See ``CallStore.live_media_rooms``."""
    return [name for (name,) in rows(db, f"SELECT media_room FROM calls WHERE {LIVE}")]


def due(db: Cursor, now: int, limit: int) -> list[Call]:
    """See ``CallStore.due_calls``."""
    return fetch(
        db,
        f"{SELECT} WHERE ring_until IS NOT NULL AND ring_until <= ? ORDER BY ring_until LIMIT ?",
        (now, limit),
    )


def ringing_for(db: Cursor, tenant_id: str, user_id: str) -> list[Call]:
    """See ``CallStore.calls_ringing_for``."""
    found = rows(
        db,
        f"""
        SELECT call_id FROM call_parties
        WHERE tenant_id = ? AND user_id = ? AND {IN_CALL} AND standing = 'ringing'
        """,
        (tenant_id, user_id),
    )
    if not found:
        return []
    marks = ", ".join("?" * len(found))
    return fetch(db, f"{SELECT} WHERE id IN ({marks})", [call_id for (call_id,) in found])


def strays(db: Cursor, room_id: str | None, limit: int) -> list[Stray]:
    """See ``CallStore.call_strays``."""
    here = "" if room_id is None else f"calls.room_id = ? AND calls.{LIVE} AND "
    values = () if room_id is None else (room_id,)
    found = rows(
        db,
        f"""
        SELECT calls.tenant_id, calls.room_id, calls.id, call_parties.user_id
        FROM call_parties JOIN calls ON calls.id = call_parties.call_id
        WHERE {here}{IN_CALL} AND NOT EXISTS (
            SELECT 1 FROM participants
            WHERE participants.room_id = calls.room_id AND participants.user_id = call_parties.user_id
        )
        LIMIT ?
        """,
        (*values, limit),
    )
    return [Stray(*stray) for stray in found]


def page(
    db: Cursor, tenant_id: str, room_id: str, *, viewer_id: str | None, limit: int, cursor: str | None
) -> tuple[list[Call], str | None]:
    """See ``CallStore.calls_page``."""
    if viewer_id is None:
        known = row(db, "SELECT 1 FROM rooms WHERE id = ? AND tenant_id = ?", (room_id, tenant_id))
    else:
        known = row(
            db,
            "SELECT 1 FROM participants WHERE room_id = ? AND user_id = ? AND tenant_id = ?",
            (room_id, viewer_id, tenant_id),
        )
    if known is None:
        raise errors.no_such_room()
    where, values = "room_id = ?", [room_id, limit + 1]
    if cursor is not None:
        where, values = "room_id = ? AND id < ?", [room_id, cursors.call_position(cursor), limit + 1]
    # Ids are in the order of beginning (UUID version 7).
    calls = fetch(db, f"{SELECT} WHERE {where} ORDER BY id DESC LIMIT ?", values)
    if len(calls) <= limit:
        return calls, None
    calls.pop()
    return calls, cursors.before_call(calls[-1].id)


def fetch(db: Cursor, sql: str, values: Sequence[Any] = ()) -> list[Call]:
    """The calls of a statement that begins with ``SELECT``, and who is in them."""
    found = rows(db, sql, values)
    parties: dict[str, list[Party]] = {call_id: [] for call_id, *_ in found}
    ids = list(parties)
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        for call_id, user_id, standing, device, joined_at, left_at in rows(
            db,
            f"""
            SELECT call_id, user_id, standing, device, joined_at, left_at FROM call_parties
            WHERE call_id IN ({", ".join("?" * len(some))}) ORDER BY call_id, place
            """,
            some,
        ):
            parties[call_id].append(Party(user_id, Standing(standing), device, joined_at, left_at))
    return [_call(one, parties[one[0]]) for one in found]


def _call(found: tuple[Any, ...], parties: list[Party]) -> Call:
    (
        call_id,
        tenant_id,
        room_id,
        type,
        status,
        created_by,
        is_group,
        media_room,
        max_participants,
        ring_s,
        created_at,
        ring_until,
        started_at,
        ended_at,
        end_reason,
    ) = found
    return Call(
        id=call_id,
        tenant_id=tenant_id,
        room_id=room_id,
        type=type,
        status=Status(status),
        created_by=created_by,
        is_group=bool(is_group),
        media_room=media_room,
        max_participants=max_participants,
        ring_s=ring_s,
        created_at=created_at,
        parties=tuple(parties),
        ring_until=ring_until,
        started_at=started_at,
        ended_at=ended_at,
        end_reason=end_reason,
    )
