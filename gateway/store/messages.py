"""Messages: storing them, and reading them back."""

from __future__ import annotations

from typing import Any

import msgspec
import uuid_utils

from gateway.errors import InvalidRequest, no_such_room
from gateway.records import LogEvent, Message, ParentMessage, Reaction, Sent, iso
from gateway.store import attachments, log
from gateway.store.connection import Cursor, row
from gateway.store.ports import MessageDraft
from gateway.store.rooms import room_frozen
from gateway.store.rosters import Rosters

ENCODE = msgspec.json.Encoder().encode
_REACTIONS = msgspec.json.Decoder(list[Reaction])

# What record takes, in its order: the message, and the one it replies to.
SELECT = """
    SELECT own.id, own.room_id, own.sender_id, own.client_message_id, own.parts, own.preview_text,
        own.created_at, own.parent_message_id, own.edited_at, own.deleted_at, own.deleted_hidden, own.reactions,
        own.pinned_at, own.pinned_by, own.forwarded_from_id, own.forwarded_from_sender_id,
        parent.id, parent.sender_id, parent.parts, parent.preview_text, parent.deleted_at, own.seq
    FROM messages AS own LEFT JOIN messages AS parent ON parent.id = own.parent_message_id
"""


def send(db: Cursor, rosters: Rosters, draft: MessageDraft, now: int) -> Sent:
    """See ``Store.send_message``: four statements, whatever the size of the room."""
    newest, activity_at, is_frozen, roster_version = _room_of(db, draft)
    if is_frozen and not draft.by_server:
        if (repeat := _stored(db, draft)) is not None:
            return repeat
        raise room_frozen()
    parent = None if draft.parent_message_id is None else _parent(db, draft.room_id, draft.parent_message_id)
    if draft.upload_ids:
        user_id = None if draft.by_server else draft.sender_id
        attachments.require_usable(db, draft.tenant_id, draft.upload_ids, user_id=user_id)
    message = append(db, draft, newest=newest, activity_at=activity_at, parent=parent, now=now)
    if message is None:
        repeat = _stored(db, draft)
        assert repeat is not None  # what append has met
        return repeat
    told = rosters.get(db, draft.room_id, roster_version).user_ids
    return Sent(message, tell(db, draft.tenant_id, message, told, now), repeated=False)


def tell(db: Cursor, tenant_id: str, message: Message, user_ids: tuple[str, ...], now: int) -> LogEvent:
    """Log that there is a new message, for those who are in its room."""
    return log.append(
        db, tenant_id, "new-message", ENCODE(message), user_ids, room_id=message.room_id, now=now
    )


def append(
    db: Cursor,
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
    if draft.upload_ids:
        attachments.attach(db, draft.room_id, message_id, draft.upload_ids)
    if draft.forwarded_from_id is not None:
        attachments.carry_over(db, draft.forwarded_from_id, draft.room_id, message_id)
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


def require_sendable(db: Cursor, draft: MessageDraft) -> None:
    """Raise what ``send`` would raise for the room of this draft, and write nothing."""
    _, _, is_frozen, _ = _room_of(db, draft)
    if is_frozen and not draft.by_server:
        raise room_frozen()


def find(db: Cursor, tenant_id: str, room_id: str, message_id: str) -> Message | None:
    """The message of this id, if it is in this room of this tenant."""
    found = row(
        db,
        f"{SELECT} JOIN rooms ON rooms.id = own.room_id WHERE own.id = ? AND rooms.id = ? AND tenant_id = ?",
        (message_id, room_id, tenant_id),
    )
    return None if found is None else record(found)


def _room_of(db: Cursor, draft: MessageDraft) -> tuple[int, int, int, int]:
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


def _stored(db: Cursor, draft: MessageDraft) -> Sent | None:
    """What was stored before under this draft's ``client_message_id``."""
    found = row(
        db,
        f"{SELECT} WHERE own.room_id = ? AND own.sender_id = ? AND own.client_message_id = ?",
        (draft.room_id, draft.sender_id, draft.client_message_id),
    )
    return None if found is None else Sent(record(found), None, repeated=True)


def _parent(db: Cursor, room_id: str, message_id: str) -> ParentMessage:
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


def record(found: tuple[Any, ...]) -> Message:
    """A message from a row of ``SELECT``."""
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
        iso_or_none(edited_at),
        iso_or_none(deleted_at),
        bool(deleted_hidden),
        [] if reactions is None else _REACTIONS.decode(reactions),
        iso_or_none(pinned_at),
        pinned_by,
        forwarded_from_id,
        forwarded_from_sender_id,
    )


def iso_or_none(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)
