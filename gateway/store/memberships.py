"""The message that tells of a change of a roster (contract 3.5), stored with the change itself."""

from __future__ import annotations

import msgspec

from gateway.records import Membership, Message
from gateway.store import messages
from gateway.store.connection import Cursor, row, rows
from gateway.store.ports import MessageDraft

PREVIEW_CHARACTERS = 200


class _Part(msgspec.Struct, frozen=True):
    data: Membership
    type: str = "data-membership"


def tell(db: Cursor, tenant_id: str, room_id: str, change: Membership, now: int) -> Message:
    """Add the message to the room; its sender is the actor (contract 10, row 18), in the room or not."""
    found = row(db, "SELECT seq, activity_at FROM rooms WHERE id = ?", (room_id,))
    assert found is not None  # whose roster has changed
    newest, activity_at = found
    draft = MessageDraft(
        tenant_id=tenant_id,
        room_id=room_id,
        sender_id=change.actor_user_id,
        parts=msgspec.json.encode([_Part(change)]),
        preview_text=_preview(db, tenant_id, change),
    )
    message = messages.append(db, draft, newest=newest, activity_at=activity_at, now=now)
    assert message is not None  # without a clientMessageId it repeats none
    return message


def _preview(db: Cursor, tenant_id: str, change: Membership) -> str:
    ids = (change.actor_user_id, change.target_user_id)
    names = dict(
        rows(db, "SELECT id, username FROM users WHERE tenant_id = ? AND id IN (?, ?)", (tenant_id, *ids))
    )
    actor, target = [names.get(one, one) for one in ids]
    text = f"{actor} removed {target}" if change.action == "removed" else f"{target} {change.action}"
    return text[:PREVIEW_CHARACTERS]
