"""The message that tells of a change of a roster (contract 3.5), stored with the change itself."""

from __future__ import annotations

import msgspec

from gateway.records import LogEvent, Membership, ParticipantsChanged
from gateway.store import log, messages
from gateway.store.connection import Cursor, rows
from gateway.store.ports import MessageDraft

PREVIEW_CHARACTERS = 200


class _Part(msgspec.Struct, frozen=True):
    data: Membership
    type: str = "data-membership"


def announce(
    db: Cursor, tenant_id: str, room_id: str, change: Membership, user_ids: tuple[str, ...], now: int
) -> LogEvent:
    """Log the change for those who are in the room and for the one who joins or goes."""
    event = ParticipantsChanged(room_id, change.action, change.target_user_id, change.actor_user_id)
    payload = msgspec.json.encode(event)
    return log.append(db, tenant_id, "room-participants-changed", payload, user_ids, room_id=room_id, now=now)


def tell(
    db: Cursor, tenant_id: str, room_id: str, change: Membership, user_ids: tuple[str, ...], now: int
) -> LogEvent:
    """Add the message to the room, and log it for those who are in it now.

    Its sender is the actor (contract 10, row 18), in the room or not.
    """
    draft = MessageDraft(
        tenant_id=tenant_id,
        room_id=room_id,
        sender_id=change.actor_user_id,
        parts=msgspec.json.encode([_Part(change)]),
        preview_text=_preview(db, tenant_id, change),
    )
    return messages.announce(db, draft, user_ids, now)


def _preview(db: Cursor, tenant_id: str, change: Membership) -> str:
    ids = (change.actor_user_id, change.target_user_id)
    names = dict(
        rows(db, "SELECT id, username FROM users WHERE tenant_id = ? AND id IN (?, ?)", (tenant_id, *ids))
    )
    actor, target = [names.get(one, one) for one in ids]
    text = f"{actor} removed {target}" if change.action == "removed" else f"{target} {change.action}"
    return text[:PREVIEW_CHARACTERS]
