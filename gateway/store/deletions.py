"""Deleting a message: it stays in its place, empty (contract 3.4)."""

from __future__ import annotations

import apsw

from gateway.errors import Forbidden, NotFound
from gateway.store import messages
from gateway.store.connection import row
from gateway.store.ports import ChangedMessage
from gateway.store.rooms import no_such_room
from gateway.store.rosters import Rosters


def delete(
    db: apsw.Cursor,
    rosters: Rosters,
    tenant_id: str,
    room_id: str,
    message_id: str,
    *,
    actor_id: str | None,
    placeholder: str | None,
    now: int,
) -> ChangedMessage:
    """See ``Store.delete_message``."""
    room = row(
        db,
        """
        SELECT roster_version, last_seq, role
        FROM rooms LEFT JOIN participants ON room_id = rooms.id AND user_id = ?
        WHERE rooms.id = ? AND rooms.tenant_id = ?
        """,
        (actor_id, room_id, tenant_id),
    )
    if room is None or (actor_id is not None and room[2] is None):
        raise no_such_room()
    roster_version, last_seq, role = room
    found = row(
        db,
        "SELECT seq, sender_id, deleted_at FROM messages WHERE id = ? AND room_id = ?",
        (message_id, room_id),
    )
    if found is None:
        raise NotFound("There is no such message in this room.")
    seq, sender_id, deleted_at = found
    if actor_id not in (None, sender_id) and role != "OPERATOR":
        raise Forbidden("Only its sender or an operator may delete a message.", code="not_the_sender")
    recipients: tuple[str, ...] = ()
    if deleted_at is None:
        db.execute(
            """
            UPDATE messages SET deleted_at = ?, deleted_hidden = ?, parts = '[]', preview_text = ?,
                reactions = NULL, pinned_at = NULL, pinned_by = NULL
            WHERE id = ?
            """,
            (now, placeholder is None, placeholder, message_id),
        )
        # For the sender it did not count before either.
        db.execute(
            "UPDATE participants SET skipped = skipped + 1 WHERE room_id = ? AND read_seq < ? AND user_id <> ?",
            (room_id, seq, sender_id),
        )
        if seq == last_seq:
            _show_last(db, room_id)
        recipients = rosters.get(db, room_id, roster_version).user_ids
    message = messages.find(db, tenant_id, room_id, message_id)
    assert message is not None  # found above
    return ChangedMessage(message, recipients)


def _show_last(db: apsw.Cursor, room_id: str) -> None:
    """Let the room's list entry show its newest message that is not hidden, if there is one."""
    last = row(
        db,
        """
        SELECT seq, created_at, preview_text FROM messages
        WHERE room_id = ? AND NOT deleted_hidden ORDER BY seq DESC LIMIT 1
        """,
        (room_id,),
    )
    db.execute(
        "UPDATE rooms SET last_seq = ?, last_at = ?, last_preview = ? WHERE id = ?",
        (*(last or (0, None, None)), room_id),
    )
