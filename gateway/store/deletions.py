"""Deleting a message: it stays in its place, empty (contract 3.4)."""

from __future__ import annotations

from gateway.errors import Forbidden
from gateway.store import attachments, targets
from gateway.store.connection import Cursor, row
from gateway.store.ports import ChangedMessage
from gateway.store.rosters import Rosters


def delete(
    db: Cursor,
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
    target = targets.find(db, tenant_id, room_id, message_id, actor_id=actor_id)
    if actor_id not in (None, target.sender_id) and target.role != "OPERATOR":
        raise Forbidden("Only its sender or an operator may delete a message.", code="not_the_sender")
    if target.deleted:
        return target.unchanged(db)
    db.execute(
        """
        UPDATE messages SET deleted_at = ?, deleted_hidden = ?, parts = '[]', preview_text = ?,
            reactions = NULL, pinned_at = NULL, pinned_by = NULL
        WHERE id = ?
        """,
        (now, placeholder is None, placeholder, message_id),
    )
    attachments.detach(db, message_id, now)
    # For the sender it did not count before either.
    db.execute(
        "UPDATE participants SET skipped = skipped + 1 WHERE room_id = ? AND read_seq < ? AND user_id <> ?",
        (room_id, target.seq, target.sender_id),
    )
    if target.is_last:
        _show_last(db, room_id)
    return target.changed(db, rosters, now)


def _show_last(db: Cursor, room_id: str) -> None:
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
