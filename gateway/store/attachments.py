"""Which uploads are in which messages. It keeps a file, and lets those who can read the message read it."""

from __future__ import annotations

from collections.abc import Collection

from gateway.errors import InvalidRequest
from gateway.store.connection import Cursor, row


def require_usable(
    db: Cursor,
    tenant_id: str,
    upload_ids: Collection[str],
    *,
    user_id: str | None,
    message_id: str | None = None,
) -> None:
    """Refuse what this user may not put into a message, before anything of it is written.

    Args:
        user_id: whose uploads they must be; None is the tenant's backend, which may use them all.
        message_id: a message whose uploads may stay in it, whosever they are: it may be a forwarded one.

    Raises:
        InvalidRequest: one of them does not exist, is not completed, or is somebody else's.
    """
    for upload_id in upload_ids:
        found = row(
            db,
            "SELECT owner_id FROM uploads WHERE id = ? AND tenant_id = ? AND status = 'completed'",
            (upload_id, tenant_id),
        )
        if found is not None and user_id in (None, found[0]):
            continue
        if found is None or message_id is None or not _has(db, message_id, upload_id):
            raise InvalidRequest("uploadId must be a completed upload of the sender.", code="no_such_upload")


def attach(db: Cursor, room_id: str, message_id: str, upload_ids: Collection[str]) -> None:
    """Note that a message has these uploads."""
    for upload_id in upload_ids:
        db.execute(
            """
            INSERT INTO attachments (upload_id, message_id, room_id) VALUES (?, ?, ?)
            ON CONFLICT (upload_id, message_id) DO NOTHING
            """,
            (upload_id, message_id, room_id),
        )
        db.execute("UPDATE uploads SET sweep_at = NULL WHERE id = ?", (upload_id,))


def carry_over(db: Cursor, source_id: str, room_id: str, message_id: str) -> None:
    """Note that a message has the uploads of the one it is a copy of."""
    db.execute(
        """
        INSERT INTO attachments (upload_id, message_id, room_id)
        SELECT upload_id, ?, ? FROM attachments WHERE message_id = ?
        """,
        (message_id, room_id, source_id),
    )


def detach(db: Cursor, message_id: str, now: int) -> None:
    """Note that a message has no uploads any more; those that no other message has are due for removal."""
    freed = db.execute(
        "DELETE FROM attachments WHERE message_id = ? RETURNING upload_id", (message_id,)
    ).fetchall()
    for (upload_id,) in freed:
        db.execute(
            """
            UPDATE uploads SET sweep_at = ? WHERE id = ?
                AND NOT EXISTS (SELECT 1 FROM attachments WHERE upload_id = uploads.id)
            """,
            (now, upload_id),
        )


def _has(db: Cursor, message_id: str, upload_id: str) -> bool:
    found = row(
        db, "SELECT 1 FROM attachments WHERE upload_id = ? AND message_id = ?", (upload_id, message_id)
    )
    return found is not None
