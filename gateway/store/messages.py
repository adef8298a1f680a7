"""Messages: storing and paging them."""

from __future__ import annotations

from typing import Any

import apsw
import msgspec
import uuid_utils

from gateway.errors import InvalidRequest, NotFound
from gateway.records import Message, MessageList, MessagePage, ParentMessage, Reaction, ReplyPage, Sent, iso
from gateway.store import cursors
from gateway.store.connection import row, rows
from gateway.store.direct import is_direct
from gateway.store.ports import MessageDraft
from gateway.store.rooms import no_such_room, room_frozen
from gateway.store.rosters import Rosters

_REACTIONS = msgspec.json.Decoder(list[Reaction])

# What _record takes, in its order: the message, and the one it replies to.
_SELECT = """
    SELECT own.id, own.room_id, own.sender_id, own.client_message_id, own.parts, own.preview_text,
        own.created_at, own.parent_message_id, own.edited_at, own.deleted_at, own.deleted_hidden, own.reactions,
        own.pinned_at, own.pinned_by, own.forwarded_from_id, own.forwarded_from_sender_id,
        parent.id, parent.sender_id, parent.parts, parent.preview_text, parent.deleted_at, own.seq
    FROM messages AS own LEFT JOIN messages AS parent ON parent.id = own.parent_message_id
"""


def send(db: apsw.Cursor, rosters: Rosters, draft: MessageDraft, now: int) -> Sent:
    """See ``Store.send_message``: four statements, whatever the size of the room."""
    newest, activity_at, is_frozen, roster_version = _room_of(db, draft)
    if is_frozen and not draft.by_server:
        if (repeat := _stored(db, draft)) is not None:
            return repeat
        raise room_frozen()
    parent = None if draft.parent_message_id is None else _parent(db, draft.room_id, draft.parent_message_id)
    message = append(db, draft, newest=newest, activity_at=activity_at, parent=parent, now=now)
    if message is None:
        repeat = _stored(db, draft)
        assert repeat is not None  # what append has met
        return repeat
    return Sent(message, rosters.get(db, draft.room_id, roster_version).user_ids, repeated=False)


def append(
    db: apsw.Cursor,
    draft: MessageDraft,
    *,
    newest: int,
    activity_at: int,
    parent: ParentMessage | None = None,
    now: int,
) -> Message | None:
    """Put a message behind the newest one of its room; whether it may be there was asked before.

    Returns None, having changed nothing, when its ``client_message_id`` is there already.
    """
    message_id, seq = str(uuid_utils.uuid7()), newest + 1
    # Clients sort by createdAt alone: it must grow even within a millisecond, and when the clock is set back.
    created_at = max(now, activity_at + 1)
    db.execute(
        """
        INSERT INTO messages
            (id, room_id, seq, sender_id, client_message_id, parts, preview_text, created_at,
             parent_message_id, forwarded_from_id, forwarded_from_sender_id)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (room_id, sender_id, client_message_id) WHERE client_message_id IS NOT NULL DO NOTHING
        """,
        (
            message_id,
            draft.room_id,
            seq,
            draft.sender_id,
            draft.client_message_id,
            draft.parts.decode(),
            draft.preview_text,
            created_at,
            draft.parent_message_id,
            draft.forwarded_from_id,
            draft.forwarded_from_sender_id,
        ),
    )
    if db.connection.changes() == 0:
        return None
    db.execute(
        "UPDATE rooms SET seq = ?, activity_at = ?, last_seq = ?, last_at = ?, last_preview = ? WHERE id = ?",
        (seq, created_at, seq, created_at, draft.preview_text, draft.room_id),
    )
    db.execute(
        "UPDATE participants SET skipped = skipped + 1 WHERE room_id = ? AND user_id = ?",
        (draft.room_id, draft.sender_id),
    )
    return Message(
        message_id,
        draft.room_id,
        draft.sender_id,
        draft.client_message_id,
        msgspec.Raw(draft.parts),
        draft.preview_text,
        iso(created_at),
        draft.parent_message_id,
        parent,
        forwarded_from_id=draft.forwarded_from_id,
        forwarded_from_sender_id=draft.forwarded_from_sender_id,
    )


def require_sendable(db: apsw.Cursor, draft: MessageDraft) -> None:
    """Raise what ``send`` would raise for the room of this draft, and write nothing."""
    _, _, is_frozen, _ = _room_of(db, draft)
    if is_frozen and not draft.by_server:
        raise room_frozen()


def page(
    db: apsw.Cursor, tenant_id: str, room_id: str, *, viewer_id: str | None, limit: int, cursor: str | None
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
        f"{_SELECT} WHERE own.room_id = ? AND own.seq < ? AND own.seq > ? ORDER BY own.seq DESC LIMIT ?",
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
    return MessagePage([_record(one) for one in found], next_cursor, _iso(read_at), _iso(delivered_at))


def pinned(db: apsw.Cursor, tenant_id: str, room_id: str, *, viewer_id: str | None) -> MessageList:
    """See ``Store.pinned_messages``."""
    cleared_seq = _cleared(db, tenant_id, room_id, viewer_id)
    # The plus keeps SQLite to the few pins, by their index: without it, it reads the room in order.
    found = rows(
        db,
        f"""
        {_SELECT} WHERE own.room_id = ? AND own.pinned_at IS NOT NULL AND +own.seq > ?
        ORDER BY own.pinned_at DESC
        """,
        (room_id, cleared_seq),
    )
    return MessageList([_record(one) for one in found])


def replies(
    db: apsw.Cursor,
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
        f"{_SELECT} WHERE own.parent_message_id = ? AND own.seq < ? ORDER BY own.seq DESC LIMIT ?",
        (message_id, before, limit + 1),
    )
    next_cursor = _cut(found, limit)
    return ReplyPage([_record(one) for one in found], next_cursor)


def find(db: apsw.Cursor, tenant_id: str, room_id: str, message_id: str) -> Message | None:
    """The message of this id, if it is in this room of this tenant."""
    found = row(
        db,
        f"{_SELECT} JOIN rooms ON rooms.id = own.room_id WHERE own.id = ? AND rooms.id = ? AND tenant_id = ?",
        (message_id, room_id, tenant_id),
    )
    return None if found is None else _record(found)


def _room_of(db: apsw.Cursor, draft: MessageDraft) -> tuple[int, int, int, int]:
    """What a send needs to know of its room: seq, activity_at, is_frozen, roster_version."""
    room: tuple[int, int, int, int] | None = row(
        db,
        """
        SELECT rooms.seq, rooms.activity_at, rooms.is_frozen, rooms.roster_version
        FROM rooms JOIN participants ON room_id = rooms.id AND user_id = ?
        WHERE rooms.id = ? AND rooms.tenant_id = ?
        """,
        (draft.sender_id, draft.room_id, draft.tenant_id),
    )
    if room is None:
        raise no_such_room()
    return room


def _cleared(db: apsw.Cursor, tenant_id: str, room_id: str, viewer_id: str | None) -> int:
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


def _stored(db: apsw.Cursor, draft: MessageDraft) -> Sent | None:
    """What was stored before under this draft's ``client_message_id``."""
    found = row(
        db,
        f"{_SELECT} WHERE own.room_id = ? AND own.sender_id = ? AND own.client_message_id = ?",
        (draft.room_id, draft.sender_id, draft.client_message_id),
    )
    return None if found is None else Sent(_record(found), (), repeated=True)


def _parent(db: apsw.Cursor, room_id: str, message_id: str) -> ParentMessage:
    found = row(
        db,
        "SELECT id, sender_id, parts, preview_text, deleted_at FROM messages WHERE id = ? AND room_id = ?",
        (message_id, room_id),
    )
    if found is None:
        raise InvalidRequest("parentMessageId is not a message of this room.")
    return _parent_record(*found)


def _parent_record(
    message_id: str, sender_id: str, parts: str, preview_text: str | None, deleted_at: int | None
) -> ParentMessage:
    return ParentMessage(message_id, sender_id, msgspec.Raw(parts), preview_text, deleted_at is not None)


def _record(found: tuple[Any, ...]) -> Message:
    """A message from a row of ``_SELECT``."""
    (
        message_id,
        room_id,
        sender_id,
        client_message_id,
        parts,
        preview_text,
        created_at,
        parent_message_id,
        edited_at,
        deleted_at,
        deleted_hidden,
        reactions,
        pinned_at,
        pinned_by,
        forwarded_from_id,
        forwarded_from_sender_id,
        *parent,
        _,
    ) = found
    return Message(
        message_id,
        room_id,
        sender_id,
        client_message_id,
        msgspec.Raw(parts),
        preview_text,
        iso(created_at),
        parent_message_id,
        None if parent[0] is None else _parent_record(*parent),
        _iso(edited_at),
        _iso(deleted_at),
        bool(deleted_hidden),
        [] if reactions is None else _REACTIONS.decode(reactions),
        _iso(pinned_at),
        pinned_by,
        forwarded_from_id,
        forwarded_from_sender_id,
    )


def _iso(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)
