"""The log: every durable event of a tenant, numbered, in the transaction of the change it tells of.

What happened is what the log says, in its order; sockets and the bus only carry it. A tenant's numbers are
1, 2, 3, … without holes. They become visible in order, because a tenant's writes are made one after the other
(``Operations._write``): whoever has seen 7 can ask for what came after and miss nothing.

Who is to be told is not kept row by row. An event of a room is for those who are in it at its number, so a
participant keeps the number after which he came (``participants.from_number``), and of each earlier time in
the room there is a row in ``stays``: the numbers it lies between. An event for others than a whole room names
them, in ``addressees`` once more for who asks what he missed.

The events of a room are a chain: each names the one before it (``previous``), and the room its newest
(``rooms.last_number``). Following it costs who asks a seek an event; an index by room would cost every send a page
of its own in the commit, a third of all it writes.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.records import LogEvent
from gateway.store.connection import Cursor, row, rows

_USER_IDS: Final = msgspec.json.Decoder(tuple[str, ...])
_encode: Final = msgspec.json.encode

# Takes ``values``.
INSERT: Final = """
    INSERT INTO log (tenant_id, number, room_id, event, payload, user_ids, logged_at, previous)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""


def append(
    db: Cursor,
    tenant_id: str,
    event: str,
    payload: bytes,
    user_ids: tuple[str, ...],
    *,
    room_id: str | None,
    now: int,
) -> LogEvent:
    """Write down what is told from now on.

    Args:
        payload: one JSON object, exactly as clients get it.
        room_id: the room whose participants ``user_ids`` are, all of them; None when it is for these users
            alone.
    """
    found = row(
        db,
        """
        SELECT log_epoch, (SELECT max(number) FROM log WHERE tenant_id = tenants.id),
            (SELECT last_number FROM rooms WHERE id = ?)
        FROM tenants WHERE id = ?
        """,
        (room_id, tenant_id),
    )
    assert found is not None  # a change of what a tenant has
    epoch, newest, previous = found
    logged = LogEvent((newest or 0) + 1, epoch, event, payload, user_ids)
    db.execute(INSERT, values(tenant_id, logged, room_id=room_id, previous=previous, now=now))
    if room_id is None:
        db.executemany(
            "INSERT INTO addressees (tenant_id, user_id, number) VALUES (?, ?, ?)",
            [(tenant_id, user_id, logged.number) for user_id in user_ids],
        )
    else:
        db.execute("UPDATE rooms SET last_number = ? WHERE id = ?", (logged.number, room_id))
    return logged


def values(
    tenant_id: str, event: LogEvent, *, room_id: str | None, previous: int | None, now: int
) -> tuple[Any, ...]:
    """What ``INSERT`` takes for an event; that it is its room's newest, or whose it is, the caller writes.

    Args:
        previous: the number of the room's newest event so far.
    """
    return (
        tenant_id,
        event.number,
        room_id,
        event.event,
        event.payload,
        _encode(event.user_ids).decode() if room_id is None else None,
        now,
        previous,
    )


def head(db: Cursor, tenant_id: str) -> int:
    """The newest number; 0 when nothing has happened yet."""
    # The newest event is never swept, so that it can be asked where the log ends.
    found = row(db, "SELECT max(number) FROM log WHERE tenant_id = ?", (tenant_id,))
    return 0 if found is None else found[0] or 0


def heads(db: Cursor, tenant_ids: list[str]) -> dict[str, int]:
    """See ``Store.log_heads``."""
    if not tenant_ids:
        return {}
    marks = ", ".join("?" * len(tenant_ids))
    found = rows(
        db,
        f"""
        SELECT id, (SELECT max(number) FROM log WHERE tenant_id = tenants.id) FROM tenants
        WHERE id IN ({marks})
        """,
        tenant_ids,
    )
    return {tenant_id: number or 0 for tenant_id, number in found}


def after(db: Cursor, tenant_id: str, number: int, limit: int) -> list[LogEvent]:
    """See ``Store.events_after``."""
    found = rows(
        db,
        """
        SELECT number, log_epoch, event, payload, room_id, user_ids
        FROM log JOIN tenants ON tenants.id = tenant_id
        WHERE tenant_id = ? AND number > ? ORDER BY number LIMIT ?
        """,
        (tenant_id, number, limit),
    )
    stays = {room_id: _stays(db, room_id, number) for *_, room_id, _ in found if room_id is not None}
    return [
        LogEvent(
            number,
            epoch,
            event,
            bytes(payload),
            _USER_IDS.decode(user_ids)
            if room_id is None
            else tuple([user_id for user_id, came, went in stays[room_id] if came < number <= went]),
        )
        for number, epoch, event, payload, room_id, user_ids in found
    ]


def _stays(db: Cursor, room_id: str, number: int) -> list[tuple[str, int, int]]:
    """Who has been in the room since the event of this number: (user, came after, last event)."""
    return rows(
        db,
        """
        SELECT user_id, from_number, 9223372036854775807 FROM participants WHERE room_id = ?
        UNION ALL
        SELECT user_id, from_number, to_number FROM stays WHERE room_id = ? AND to_number > ?
        """,
        (room_id, room_id, number),
    )


def missed(
    db: Cursor, tenant_id: str, user_id: str, *, after: int, until: int, limit: int
) -> list[LogEvent] | None:
    """See ``Store.missed_events``: one query, whose cost follows the user's rooms and what happened in them.

    The numbers come from each room's newest event back, and stop at the limit: in a join, since SQLite would collect all
    of them for an ``IN``.
    """
    found = rows(
        db,
        """
        WITH RECURSIVE told (number, low) AS (
            SELECT rooms.last_number, CASE WHEN own.from_number > ? THEN own.from_number ELSE ? END
            FROM participants AS own CROSS JOIN rooms
            WHERE own.tenant_id = ? AND own.user_id = ? AND rooms.id = own.room_id
                AND rooms.last_number > own.from_number AND rooms.last_number > ?
            UNION ALL
            SELECT to_number, CASE WHEN from_number > ? THEN from_number ELSE ? END
            FROM stays WHERE tenant_id = ? AND user_id = ? AND to_number > ?
            UNION ALL
            SELECT log.previous, told.low FROM told CROSS JOIN log
            WHERE log.tenant_id = ? AND log.number = told.number AND log.previous > told.low
        )
        SELECT log.number, log_epoch, event, payload
        FROM (
            SELECT number FROM told WHERE number <= ?
            UNION ALL
            SELECT number FROM addressees WHERE tenant_id = ? AND user_id = ? AND number > ? AND number <= ?
            LIMIT ?
        ) AS his CROSS JOIN log CROSS JOIN tenants
        WHERE log.tenant_id = ? AND log.number = his.number AND tenants.id = log.tenant_id
        ORDER BY log.number
        """,
        (
            *(after, after, tenant_id, user_id, after),
            *(after, after, tenant_id, user_id, after),
            tenant_id,
            *(until, tenant_id, user_id, after, until),
            limit + 1,
            tenant_id,
        ),
    )
    if len(found) > limit:
        return None
    return [
        LogEvent(number, epoch, event, bytes(payload), (user_id,)) for number, epoch, event, payload in found
    ]


def end_stay(
    db: Cursor, tenant_id: str, room_id: str, user_id: str, *, from_number: int, to_number: int
) -> None:
    """Note that a participant has gone; the event of ``to_number`` was the last that concerned him."""
    db.execute(
        "INSERT INTO stays (room_id, user_id, tenant_id, from_number, to_number) VALUES (?, ?, ?, ?, ?)",
        (room_id, user_id, tenant_id, from_number, to_number),
    )


def outdated(db: Cursor, before: int) -> list[str]:
    """See ``Store.outdated_logs``: three seeks a tenant."""
    # CROSS JOIN keeps SQLite to this order: it would begin with all of the log.
    found = rows(
        db,
        """
        SELECT tenants.id FROM tenants CROSS JOIN log
        WHERE log.tenant_id = tenants.id AND log.number = (SELECT min(number) FROM log WHERE tenant_id = tenants.id)
            AND logged_at < ? AND number < (SELECT max(number) FROM log WHERE tenant_id = tenants.id)
        """,
        (before,),
    )
    return [tenant_id for (tenant_id,) in found]


def sweep(db: Cursor, tenant_id: str, *, before: int, limit: int) -> bool:
    """See ``Store.sweep_log``."""
    found = row(
        db,
        """
        SELECT max(number) FROM (
            SELECT number, logged_at FROM log WHERE tenant_id = ? ORDER BY number LIMIT ?
        ) AS oldest
        WHERE logged_at < ? AND number < (SELECT max(number) FROM log WHERE tenant_id = ?)
        """,
        (tenant_id, limit, before, tenant_id),
    )
    last = None if found is None else found[0]
    if last is None:
        return False
    db.execute(
        """
        DELETE FROM stays WHERE (room_id, to_number) IN (
            SELECT room_id, number FROM log WHERE tenant_id = ? AND number <= ?
        )
        """,
        (tenant_id, last),
    )
    db.execute("DELETE FROM addressees WHERE tenant_id = ? AND number <= ?", (tenant_id, last))
    db.execute("DELETE FROM log WHERE tenant_id = ? AND number <= ?", (tenant_id, last))
    return db.connection.changes() == limit
