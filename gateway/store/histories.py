"""What has been said, page by page: a room's messages, its pins, the replies to one message."""

from __future__ import annotations

from typing import Any

from gateway.errors import NotFound, no_such_room
from gateway.records import MessageList, MessagePage, ReplyPage
from gateway.store import cursors, messages
from gateway.store.connection import Cursor, row, rows
from gateway.store.direct import is_direct


def page(
    db: Cursor, tenant_id: str, room_id: str, *, viewer_id: str | None, limit: int, cursor: str | None
) -> MessagePage:
    """See ``Store.messages_page``."""
    room = row(
        db,
        """
        SELECT rooms.name, rooms.custom_type, rooms.external_id, rooms.participant_count, own.cleared_seq
        FROM rooms LEFT JOIN participants AS own ON own.room_id = rooms.id AND own.user_id = ?
        WHERE rooms.id = ? AND rooms.tenant_id = ?
        """,
        (viewer_id, room_id, tenant_id),
    )
    if room is None or (viewer_id is not None and room[4] is None):
        raise no_such_room()
    name, custom_type, external_id, participants, cleared_seq = room
    before = 1 << 62 if cursor is None else cursors.message_position(cursor)
    found = rows(
        db,
        f"{messages.SELECT} WHERE own.room_id = ? AND own.seq < ? AND own.seq > ? ORDER BY own.seq DESC LIMIT ?",
        (room_id, before, cleared_seq or 0, limit + 1),
    )
    next_cursor = _cut(found, limit)
    peer = None
    if (
        viewer_id is not None
        and participants == 2
        and is_direct(name=name, custom_type=custom_type, external_id=external_id, participants=participants)
    ):
        peer = row(
            db,
            "SELECT last_read_at, last_delivered_at FROM participants WHERE room_id = ? AND user_id <> ?",
            (room_id, viewer_id),
        )
    read_at, delivered_at = peer or (None, None)
    return MessagePage(
        [messages.record(one) for one in found],
        next_cursor,
        messages.iso_or_none(read_at),
        messages.iso_or_none(delivered_at),
    )


def pinned(db: Cursor, tenant_id: str, room_id: str, *, viewer_id: str | None) -> MessageList:
    """See ``Store.pinned_messages``."""
    cleared_seq = _cleared(db, tenant_id, room_id, viewer_id)
    # The plus keeps SQLite to the few pins, by their index: without it, it reads the room in order.
    found = rows(
        db,
        f"""
        {messages.SELECT} WHERE own.room_id = ? AND own.pinned_at IS NOT NULL AND +own.seq > ?
        ORDER BY own.pinned_at DESC
        """,
        (room_id, cleared_seq),
    )
    return MessageList([messages.record(one) for one in found])


def replies(
    db: Cursor,
    tenant_id: str,
    room_id: str,
    message_id: str,
    *,
    viewer_id: str | None,
    limit: int,
    cursor: str | None,
) -> ReplyPage:
    """See ``Store.replies_page``."""
    cleared_seq = _cleared(db, tenant_id, room_id, viewer_id)
    parent = row(db, "SELECT seq FROM messages WHERE id = ? AND room_id = ?", (message_id, room_id))
    if parent is None or parent[0] <= cleared_seq:
        raise NotFound("There is no such message in this room.")
    before = 1 << 62 if cursor is None else cursors.message_position(cursor)
    # Replies are in the room of what they reply to: naming it again would only tempt SQLite to another index.
    found = rows(
        db,
        f"{messages.SELECT} WHERE own.parent_message_id = ? AND own.seq < ? ORDER BY own.seq DESC LIMIT ?",
        (message_id, before, limit + 1),
    )
    next_cursor = _cut(found, limit)
    return ReplyPage([messages.record(one) for one in found], next_cursor)


def _cleared(db: Cursor, tenant_id: str, room_id: str, viewer_id: str | None) -> int:
    """Up to which number messages are gone for this viewer; 0 for the API key, which sees everything."""
    room = row(
        db,
        """
        SELECT own.cleared_seq
        FROM rooms LEFT JOIN participants AS own ON own.room_id = rooms.id AND own.user_id = ?
        WHERE rooms.id = ? AND rooms.tenant_id = ?
        """,
        (viewer_id, room_id, tenant_id),
    )
    if room is None or (viewer_id is not None and room[0] is None):
        raise no_such_room()
    cleared_seq: int = room[0] or 0
    return cleared_seq


def _cut(found: list[tuple[Any, ...]], limit: int) -> str | None:
    """The cursor behind a page, of which one row too many was read to know whether there is more."""
    if len(found) <= limit:
        return None
    found.pop()
    return cursors.before_message(found[-1][21])
