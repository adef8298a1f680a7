"""Delivery marks: how much has arrived at each participant's devices (contract 3.6)."""

from __future__ import annotations

from gateway.errors import NotFound, no_such_room
from gateway.records import DeliveryMark, iso
from gateway.store.connection import Cursor, row


def mark_delivered(
    db: Cursor, tenant_id: str, room_id: str, user_id: str, *, message_id: str | None, now: int
) -> DeliveryMark:
    """See ``Store.mark_delivered``."""
    found = row(
        db,
        """
        SELECT rooms.seq, delivered_seq, last_delivered_at, last_delivered_message_id, joined_at
        FROM rooms JOIN participants ON room_id = rooms.id AND user_id = ?
        WHERE rooms.id = ? AND rooms.tenant_id = ?
        """,
        (user_id, room_id, tenant_id),
    )
    if found is None:
        raise no_such_room()
    newest, delivered_seq, delivered_at, delivered_id, joined_at = found
    column, value = ("seq", newest) if message_id is None else ("id", message_id)
    target = row(
        db, f"SELECT id, seq, created_at FROM messages WHERE room_id = ? AND {column} = ?", (room_id, value)
    )
    if target is None and message_id is not None:
        raise NotFound("There is no such message in this room.")
    if target is not None and target[1] > delivered_seq:
        delivered_id, seq, created_at = target
        # Senders take what is not newer than this time as delivered, so it must not be before the message's
        # own.
        delivered_at = max(delivered_at or 0, created_at, now if seq == newest else 0)
        db.execute(
            """
            UPDATE participants
            SET delivered_seq = ?, last_delivered_at = ?, last_delivered_message_id = ?
            WHERE room_id = ? AND user_id = ?
            """,
            (seq, delivered_at, delivered_id, room_id, user_id),
        )
    return DeliveryMark(
        room_id, user_id, iso(joined_at if delivered_at is None else delivered_at), delivered_id
    )
