"""One message that somebody wants to change, as the writer finds it."""

from __future__ import annotations

import msgspec

from gateway.errors import Conflict, NotFound, no_such_room
from gateway.records import Message, Role
from gateway.store import log, messages
from gateway.store.connection import Cursor, row
from gateway.store.ports import ChangedMessage
from gateway.store.rooms import room_frozen
from gateway.store.rosters import Rosters


class Target(msgspec.Struct, frozen=True):
    """A message and what its room says about changing it.

    Attributes:
        role: the actor's; None for the API key that acts as nobody.
        is_last: the room's list entry shows this message.
    """

    tenant_id: str
    room_id: str
    message_id: str
    roster_version: int
    role: Role | None
    is_frozen: bool
    is_last: bool
    seq: int
    sender_id: str
    parts: str
    preview_text: str | None
    deleted: bool
    reactions: str | None
    pinned_at: int | None
    forwarded_from_sender_id: str | None

    def require_thawed(self) -> None:
        """Refuse what a frozen room takes from nobody but the tenant's backend.

        Raises:
            Forbidden: the room is frozen.
        """
        if self.is_frozen:
            raise room_frozen()

    def require_kept(self) -> None:
        """Refuse what makes no sense with an empty message.

        Raises:
            Conflict: the message is deleted.
        """
        if self.deleted:
            raise Conflict("This message is deleted.", code="message_deleted")

    def changed(self, db: Cursor, rosters: Rosters, now: int) -> ChangedMessage:
        """The message as the writer has just left it, logged for everybody in the room."""
        message = self._read(db)
        event = log.append(
            db,
            self.tenant_id,
            "message-updated",
            messages.ENCODE(message),
            rosters.get(db, self.room_id, self.roster_version).user_ids,
            room_id=self.room_id,
            now=now,
        )
        return ChangedMessage(message, event)

    def unchanged(self, db: Cursor) -> ChangedMessage:
        """The message as it was found, for nobody but who asked."""
        return ChangedMessage(self._read(db), None)

    def _read(self, db: Cursor) -> Message:
        message = messages.find(db, self.tenant_id, self.room_id, self.message_id)
        assert message is not None  # it was found in this transaction
        return message


def find(db: Cursor, tenant_id: str, room_id: str, message_id: str, *, actor_id: str | None) -> Target:
    """The message, if the actor can see it; ``actor_id`` None is the API key, which sees everything.

    Raises:
        NotFound: no such room or message, the actor is not in the room, or has cleared the message away.
    """
    room = row(
        db,
        """
        SELECT roster_version, role, is_frozen, last_seq, cleared_seq
        FROM rooms LEFT JOIN participants ON room_id = rooms.id AND user_id = ?
        WHERE rooms.id = ? AND rooms.tenant_id = ?
        """,
        (actor_id, room_id, tenant_id),
    )
    if room is None or (actor_id is not None and room[1] is None):
        raise no_such_room()
    roster_version, role, is_frozen, last_seq, cleared_seq = room
    found = row(
        db,
        """
        SELECT seq, sender_id, parts, preview_text, deleted_at, reactions, pinned_at, forwarded_from_sender_id
        FROM messages WHERE id = ? AND room_id = ?
        """,
        (message_id, room_id),
    )
    if found is None or found[0] <= (cleared_seq or 0):
        raise NotFound("There is no such message in this room.")
    seq, sender_id, parts, preview_text, deleted_at, *rest = found
    return Target(
        tenant_id,
        room_id,
        message_id,
        roster_version,
        role,
        bool(is_frozen),
        seq == last_seq,
        seq,
        sender_id,
        parts,
        preview_text,
        deleted_at is not None,
        *rest,
    )
