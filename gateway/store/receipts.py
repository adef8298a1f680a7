"""Read marks: how far each participant has come (contract 3.6)."""

from __future__ import annotations

import msgspec

from gateway.errors import NotFound, no_such_room
from gateway.records import MarkedRead, ReadMark, RoomRead, iso
from gateway.store import log
from gateway.store.connection import Cursor, row
from gateway.store.rosters import Rosters


def mark_read(
    db: Cursor,
    rosters: Rosters,
    tenant_id: str,
    room_id: str,
    user_id: str,
    *,
    message_id: str | None,
    now: int,
) -> MarkedRead:
    """See ``Store.mark_read``."""
    found = row(
        db,
        """
        SELECT rooms.seq, rooms.roster_version, read_seq, skipped, last_read_at,
            last_read_message_id, joined_at
        FROM rooms JOIN participants ON room_id = rooms.id AND user_id = ?
        WHERE rooms.id = ? AND rooms.tenant_id = ?
        """,
        (user_id, room_id, tenant_id),
    )
    if found is None:
        raise no_such_room()
    newest, roster_version, read_seq, skipped, last_read_at, last_read_message_id, joined_at = found
    column, value = ("seq", newest) if message_id is None else ("id", message_id)
    target = row(
        db, f"SELECT id, seq, created_at FROM messages WHERE room_id = ? AND {column} = ?", (room_id, value)
    )
    if target is None and message_id is not None:
        raise NotFound("There is no such message in this room.")
    moved = False
    # Who joined a room with a history, or cleared it, is past messages he has not marked: his first mark
    # counts.
    if target is not None and (target[1] > read_seq or last_read_at is None):
        last_read_message_id, seq, created_at = target
        skipped = _skipped(db, room_id, user_id, read_seq=read_seq, skipped=skipped, seq=seq, newest=newest)
        read_seq = max(read_seq, seq)
        # Senders take what is not newer than this time as read, so it must not be before the message's own.
        last_read_at = max(last_read_at or 0, created_at, now if seq == newest else 0)
        db.execute(
            """
            UPDATE participants SET read_seq = ?, skipped = ?, last_read_at = ?, last_read_message_id = ?
            WHERE room_id = ? AND user_id = ?
            """,
            (read_seq, skipped, last_read_at, last_read_message_id, room_id, user_id),
        )
        db.execute(  # what is read has arrived
            """
            UPDATE participants
            SET delivered_seq = ?, last_delivered_at = ?, last_delivered_message_id = ?
            WHERE room_id = ? AND user_id = ? AND delivered_seq < ?
            """,
            (seq, last_read_at, last_read_message_id, room_id, user_id, seq),
        )
        moved = True
    mark = ReadMark(
        room_id,
        user_id,
        iso(joined_at if last_read_at is None else last_read_at),
        last_read_message_id,
        newest - read_seq - skipped,
    )
    if not moved:
        return MarkedRead(mark, None)
    payload = msgspec.json.encode(RoomRead(room_id, user_id, mark.last_read_at, last_read_message_id))
    told = rosters.get(db, room_id, roster_version).user_ids
    return MarkedRead(mark, log.append(db, tenant_id, "room-read", payload, told, room_id=room_id, now=now))


def _skipped(
    db: Cursor, room_id: str, user_id: str, *, read_seq: int, skipped: int, seq: int, newest: int
) -> int:
    """How many messages after ``seq`` will not count for this user, given how many after ``read_seq`` do not.

    Counts over the shorter of the two stretches: the one that is passed, or the one that is left.
    """
    if seq <= read_seq:
        return skipped
    if seq == newest:
        return 0
    left = newest - seq < seq - read_seq
    after, until = (seq, newest) if left else (read_seq, seq)
    found = row(
        db,
        """
        SELECT count(*) FROM messages
        WHERE room_id = ? AND seq > ? AND seq <= ? AND (sender_id = ? OR deleted_at IS NOT NULL)
        """,
        (room_id, after, until, user_id),
    )
    counted: int = found[0] if found else 0
    return counted if left else skipped - counted
