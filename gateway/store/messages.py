"""Messages: storing them, and reading them back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import uuid_utils

from gateway.errors import GatewayError, InvalidRequest, no_such_room
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

# What ``Place`` takes, in its order.
_PLACE: Final = """
    SELECT CAST(? AS INTEGER), rooms.seq, activity_at, is_frozen, roster_version, last_number, log_epoch,
        (SELECT max(number) FROM log WHERE tenant_id = tenants.id),
        user_id IS NOT NULL,
        (SELECT id FROM messages WHERE room_id = rooms.id AND sender_id = ? AND client_message_id = ?)
    FROM rooms JOIN tenants ON tenants.id = rooms.tenant_id
        LEFT JOIN participants ON room_id = rooms.id AND user_id = ?
    WHERE rooms.id = ? AND rooms.tenant_id = ?
"""


class Place(msgspec.Struct, frozen=True):
    """What the next message of a room must know of it, and of its tenant's log.

    Attributes:
        draft: which of several it is for.
        seq, activity_at: of the newest message.
        last_number: of the room's newest event in the log, which has come as far as ``head`` (None: nowhere yet).
        sender_is_in: whether who sends is a participant.
        stored_id: what was stored before under the same ``client_message_id``.
    """

    draft: int
    seq: int
    activity_at: int
    is_frozen: bool
    roster_version: int
    last_number: int
    epoch: str
    head: int | None
    sender_is_in: bool
    stored_id: str | None


class _Written:
    """Messages that are made and on their way into the database: each statement runs once, with all of them."""

    __slots__ = ("_events", "_heads", "_messages", "_rooms", "_senders", "_uploads")

    def __init__(self) -> None:
        self._messages: list[tuple[Any, ...]] = []
        self._uploads: list[
            tuple[MessageDraft, str]
        ] = []  # drafts that have to do with some, and their messages
        self._rooms: dict[
            str, tuple[int, int, int, int, str | None, int, str]
        ] = {}  # as their newest leave them
        self._senders: list[tuple[str, str]] = []
        self._events: list[tuple[Any, ...]] = []
        self._heads: dict[str, int] = {}  # of the tenants' logs

    def add(
        self,
        draft: MessageDraft,
        place: Place,
        *,
        parent: ParentMessage | None,
        told: tuple[str, ...],
        now: int,
    ) -> tuple[Message, LogEvent]:
        """Put a message that may be there, and is not yet, behind the newest one of its room.

        Args:
            place: as it is in the database; what those before it here change of it is seen to.
        """
        message_id, room_id, preview_text = str(uuid_utils.uuid7()), draft.room_id, draft.preview_text
        seq, activity_at, previous = place.seq, place.activity_at, place.last_number
        if room_id in self._rooms:
            seq, activity_at, _, _, _, previous, _ = self._rooms[room_id]
        seq += 1
        # Clients sort by createdAt alone: it must grow even within a millisecond, and when the clock is set back.
        created_at = now if now > activity_at else activity_at + 1
        message = Message(
            message_id,
            room_id,
            draft.sender_id,
            draft.client_message_id,
            msgspec.Raw(draft.parts),
            preview_text,
            iso(created_at),
            draft.parent_message_id,
            parent,
            forwarded_from_id=draft.forwarded_from_id,
            forwarded_from_sender_id=draft.forwarded_from_sender_id,
        )
        number = self._heads.get(draft.tenant_id, place.head or 0) + 1
        event = LogEvent(number, place.epoch, "new-message", ENCODE(message), told)
        self._messages.append(
            (
                message_id,
                room_id,
                seq,
                draft.sender_id,
                draft.client_message_id,
                draft.parts.decode(),
                preview_text,
                created_at,
                draft.parent_message_id,
                draft.forwarded_from_id,
                draft.forwarded_from_sender_id,
            )
        )
        if draft.upload_ids or draft.forwarded_from_id is not None:
            self._uploads.append((draft, message_id))
        self._rooms[room_id] = (seq, created_at, seq, created_at, preview_text, number, room_id)
        self._senders.append((room_id, draft.sender_id))
        self._events.append(log.values(draft.tenant_id, event, room_id=room_id, previous=previous, now=now))
        self._heads[draft.tenant_id] = number
        return message, event

    def write(self, db: Cursor) -> None:
        """Four statements, and nothing is asked."""
        db.executemany(
            """
            INSERT INTO messages (id, room_id, seq, sender_id, client_message_id, parts, preview_text, created_at,
                parent_message_id, forwarded_from_id, forwarded_from_sender_id)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            self._messages,
        )
        for draft, message_id in self._uploads:
            attachments.attach(db, draft.room_id, message_id, draft.upload_ids)
            if draft.forwarded_from_id is not None:
                attachments.carry_over(db, draft.forwarded_from_id, draft.room_id, message_id)
        db.executemany(
            """
            UPDATE rooms SET seq = ?, activity_at = ?, last_seq = ?, last_at = ?, last_preview = ?, last_number = ?
            WHERE id = ?
            """,
            self._rooms.values(),
        )
        db.executemany(
            "UPDATE participants SET skipped = skipped + 1 WHERE room_id = ? AND user_id = ?", self._senders
        )
        db.executemany(log.INSERT, self._events)


def send(db: Cursor, rosters: Rosters, draft: MessageDraft, now: int) -> Sent:
    """See ``Store.send_message``: one statement that reads and four that write, whatever the size of the room."""
    (outcome,) = send_each(db, rosters, (draft,), now)
    if isinstance(outcome, GatewayError):
        raise outcome
    return outcome


def send_each(
    db: Cursor, rosters: Rosters, drafts: Sequence[MessageDraft], now: int
) -> list[Sent | GatewayError]:
    """``send`` one after the other, with the same five statements for all of them: what a send changes of the places of
    those after it is known here.

    Returns for each what ``send`` returns, or raises.
    """
    asked = [_place_values(draft, number) for number, draft in enumerate(drafts)]
    places = {found[0]: Place(*found) for found in db.executemany(_PLACE, asked).fetchall()}
    made: dict[tuple[str, str, str, str | None], Message] = {}
    written = _Written()
    outcomes: list[Sent | GatewayError] = []
    for number, draft in enumerate(drafts):
        said = (draft.tenant_id, draft.room_id, draft.sender_id, draft.client_message_id)
        if said in made:
            outcomes.append(Sent(made[said], None, repeated=True))
            continue
        try:
            place = _sendable(draft, places.get(number))
            if place.stored_id is not None:
                outcomes.append(Sent(_stored(db, place.stored_id), None, repeated=True))
                continue
            parent = (
                None
                if draft.parent_message_id is None
                else _parent(db, draft.room_id, draft.parent_message_id)
            )
            if draft.upload_ids:
                user_id = None if draft.by_server else draft.sender_id
                attachments.require_usable(db, draft.tenant_id, draft.upload_ids, user_id=user_id)
        except GatewayError as error:
            outcomes.append(error)
            continue
        told = rosters.get(db, draft.room_id, place.roster_version).user_ids
        message, event = written.add(draft, place, parent=parent, told=told, now=now)
        if draft.client_message_id is not None:
            made[said] = message
        outcomes.append(Sent(message, event, repeated=False))
    written.write(db)
    return outcomes


def announce(db: Cursor, draft: MessageDraft, told: tuple[str, ...], now: int) -> LogEvent:
    """Add what the server itself says to a room that exists, and log it for those who are in it.

    Args:
        draft: its sender need not be in the room; without ``client_message_id``, uploads and a parent.
    """
    place = _place(db, draft)
    assert place is not None
    written = _Written()
    _, event = written.add(draft, place, parent=None, told=told, now=now)
    written.write(db)
    return event


def require_sendable(db: Cursor, draft: MessageDraft) -> None:
    """Raise what ``send`` would raise for the room of this draft, and write nothing."""
    _sendable(draft, _place(db, draft))


def _sendable(draft: MessageDraft, place: Place | None) -> Place:
    if place is None or not place.sender_is_in:
        raise no_such_room()
    if place.is_frozen and not draft.by_server and place.stored_id is None:
        raise room_frozen()
    return place


def _place(db: Cursor, draft: MessageDraft) -> Place | None:
    found = row(db, _PLACE, _place_values(draft, 0))
    return None if found is None else Place(*found)


def _place_values(draft: MessageDraft, number: int) -> tuple[Any, ...]:
    return (
        number,
        draft.sender_id,
        draft.client_message_id,
        draft.sender_id,
        draft.room_id,
        draft.tenant_id,
    )


def find(db: Cursor, tenant_id: str, room_id: str, message_id: str) -> Message | None:
    """The message of this id, if it is in this room of this tenant."""
    found = row(
        db,
        f"{SELECT} JOIN rooms ON rooms.id = own.room_id WHERE own.id = ? AND rooms.id = ? AND tenant_id = ?",
        (message_id, room_id, tenant_id),
    )
    return None if found is None else record(found)


def _stored(db: Cursor, message_id: str) -> Message:
    found = row(db, f"{SELECT} WHERE own.id = ?", (message_id,))
    assert found is not None  # it was found in this transaction
    return record(found)


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
