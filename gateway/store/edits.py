"""Changing a message that is there: its parts, its reactions, its pin (contract 2.4, endpoints 21, 23, 24)."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.errors import Conflict, Forbidden
from gateway.records import SERVER_MADE, Reaction
from gateway.store import attachments, targets
from gateway.store.connection import Cursor, row
from gateway.store.ports import ChangedMessage, MessageEdit
from gateway.store.rosters import Rosters

# A message goes out with all its reactions at every change, and a room shows all its pins at once.
MOST_REACTIONS: Final = 1_000
MOST_PINS: Final = 100


class _Typed(msgspec.Struct, frozen=True):
    type: str


_TYPES: Final = msgspec.json.Decoder(list[_Typed])
_REACTIONS: Final = msgspec.json.Decoder(list[Reaction])


def edit(db: Cursor, rosters: Rosters, edit: MessageEdit, now: int) -> ChangedMessage:
    """See ``Store.edit_message``."""
    target = targets.find(db, edit.tenant_id, edit.room_id, edit.message_id, actor_id=edit.actor_id)
    if edit.actor_id is not None:
        if edit.actor_id != target.sender_id:
            raise Forbidden("Only its sender may edit a message.", code="not_the_sender")
        if is_server_made(target.parts):
            raise Forbidden("A message that the server made cannot be edited.", code="server_made")
        target.require_thawed()
    target.require_kept()
    attachments.require_usable(
        db, edit.tenant_id, edit.upload_ids, user_id=edit.actor_id, message_id=edit.message_id
    )
    db.execute(
        "UPDATE messages SET parts = ?, preview_text = ?, edited_at = ? WHERE id = ?",
        (edit.parts.decode(), edit.preview_text, now, edit.message_id),
    )
    attachments.detach(db, edit.message_id, now)
    attachments.attach(db, edit.room_id, edit.message_id, edit.upload_ids)
    if target.is_last:
        db.execute("UPDATE rooms SET last_preview = ? WHERE id = ?", (edit.preview_text, edit.room_id))
    return target.changed(db, rosters, now)


def toggle_reaction(
    db: Cursor,
    rosters: Rosters,
    tenant_id: str,
    room_id: str,
    message_id: str,
    *,
    user_id: str,
    emoji: str,
    by_server: bool,
    now: int,
) -> ChangedMessage:
    """See ``Store.toggle_reaction``."""
    target = targets.find(db, tenant_id, room_id, message_id, actor_id=user_id)
    if not by_server:
        target.require_thawed()
    target.require_kept()
    before = [] if target.reactions is None else _REACTIONS.decode(target.reactions)
    own = Reaction(user_id, emoji)
    after = [one for one in before if one != own]
    if len(after) == len(before):
        if len(before) >= MOST_REACTIONS:
            raise Conflict("This message has too many reactions.", code="too_many_reactions")
        after.append(own)
    db.execute(
        "UPDATE messages SET reactions = ? WHERE id = ?",
        (msgspec.json.encode(after).decode() if after else None, message_id),
    )
    return target.changed(db, rosters, now)


def pin(
    db: Cursor,
    rosters: Rosters,
    tenant_id: str,
    room_id: str,
    message_id: str,
    *,
    user_id: str | None,
    by_server: bool,
    now: int,
) -> ChangedMessage:
    """See ``Store.pin_message``."""
    target = targets.find(db, tenant_id, room_id, message_id, actor_id=user_id)
    if not by_server:
        target.require_thawed()
    target.require_kept()
    if target.pinned_at is not None:
        return target.unchanged(db)
    pins = row(
        db,
        "SELECT count(*), max(pinned_at) FROM messages WHERE room_id = ? AND pinned_at IS NOT NULL",
        (room_id,),
    )
    count, newest = pins or (0, None)
    if count >= MOST_PINS:
        raise Conflict("This room has too many pinned messages.", code="too_many_pins")
    # Pins are listed by their time: it must grow even within a millisecond.
    db.execute(
        "UPDATE messages SET pinned_at = ?, pinned_by = ? WHERE id = ?",
        (max(now, (newest or 0) + 1), user_id, message_id),
    )
    return target.changed(db, rosters, now)


def unpin(
    db: Cursor,
    rosters: Rosters,
    tenant_id: str,
    room_id: str,
    message_id: str,
    *,
    user_id: str | None,
    by_server: bool,
    now: int,
) -> ChangedMessage:
    """See ``Store.unpin_message``."""
    target = targets.find(db, tenant_id, room_id, message_id, actor_id=user_id)
    if not by_server:
        target.require_thawed()
    if target.pinned_at is None:
        return target.unchanged(db)
    db.execute("UPDATE messages SET pinned_at = NULL, pinned_by = NULL WHERE id = ?", (message_id,))
    return target.changed(db, rosters, now)


def is_server_made(parts: str) -> bool:
    """Whether any of the parts is one that this server makes about calls and membership."""
    return any(part.type in SERVER_MADE for part in _TYPES.decode(parts))
