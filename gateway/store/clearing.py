"""What a participant puts out of his own sight: the history so far, or the whole room."""

from __future__ import annotations

from gateway.errors import no_such_room
from gateway.records import iso
from gateway.store import participants
from gateway.store.connection import Cursor, row
from gateway.store.direct import is_direct
from gateway.store.ports import RosterChange
from gateway.store.rosters import Rosters


def clear_history(db: Cursor, tenant_id: str, room_id: str, user_id: str, *, now: int) -> str:
    """See ``Store.clear_history``."""
    _clear(db, tenant_id, room_id, user_id)
    return iso(now)


def delete_room_for(
    db: Cursor, rosters: Rosters, tenant_id: str, room_id: str, user_id: str, *, now: int
) -> RosterChange | None:
    """See ``Store.delete_room_for``."""
    _clear(db, tenant_id, room_id, user_id)
    room = row(
        db, "SELECT name, custom_type, external_id, participant_count FROM rooms WHERE id = ?", (room_id,)
    )
    assert room is not None  # cleared above
    name, custom_type, external_id, count = room
    if is_direct(name=name, custom_type=custom_type, external_id=external_id, participants=count):
        db.execute(
            "UPDATE participants SET hidden_seq = cleared_seq WHERE room_id = ? AND user_id = ?",
            (room_id, user_id),
        )
        return None
    # What he has cleared stays cleared, should he come back.
    return participants.remove(
        db, rosters, tenant_id, room_id, user_id, actor_id=user_id, by_server=False, now=now
    )


def _clear(db: Cursor, tenant_id: str, room_id: str, user_id: str) -> None:
    """Nothing said so far is there any more for this user, nor unread; a hidden room stays hidden.

    Raises:
        NotFound: no such room, or the user is not in it.
    """
    db.execute(
        """
        UPDATE participants SET skipped = 0, (cleared_seq, read_seq) = (
            SELECT seq, seq FROM rooms WHERE id = room_id
        )
        WHERE room_id = ? AND user_id = ? AND tenant_id = ?
        """,
        (room_id, user_id, tenant_id),
    )
    if db.connection.changes() == 0:
        raise no_such_room()
