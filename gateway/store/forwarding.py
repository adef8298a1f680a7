"""Forwarding a message: a new one in each target room that says whose it was (contract 2.4, endpoint 26)."""

from __future__ import annotations

from gateway.errors import InvalidRequest
from gateway.store import messages, targets
from gateway.store.connection import Cursor
from gateway.store.edits import is_server_made
from gateway.store.ports import ForwardDraft, Forwarded, MessageDraft
from gateway.store.rosters import Rosters


def forward(db: Cursor, rosters: Rosters, draft: ForwardDraft, now: int) -> Forwarded:
    """See ``Store.forward_message``."""
    source = targets.find(db, draft.tenant_id, draft.room_id, draft.message_id, actor_id=draft.user_id)
    if source.deleted:
        raise InvalidRequest("A deleted message cannot be forwarded.", code="message_deleted")
    if is_server_made(source.parts):
        raise InvalidRequest("A message that the server made cannot be forwarded.", code="server_made")
    copies = [
        MessageDraft(
            tenant_id=draft.tenant_id,
            room_id=room_id,
            sender_id=draft.user_id,
            parts=source.parts.encode(),
            preview_text=source.preview_text,
            by_server=draft.by_server,
            forwarded_from_id=draft.message_id,
            forwarded_from_sender_id=source.forwarded_from_sender_id or source.sender_id,
        )
        for room_id in draft.target_room_ids
    ]
    # All of them or none: what is refused must be refused before the first is written.
    for copy in copies:
        messages.require_sendable(db, copy)
    return Forwarded(tuple([messages.send(db, rosters, copy, now) for copy in copies]))
