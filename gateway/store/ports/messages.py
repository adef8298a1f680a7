"""What is kept of messages, and of how far each participant has come in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from gateway.records import MarkedRead, Message, MessagePage, Sent
from gateway.store.ports.once import Once


class MessageDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A message to store: ``parts`` is the JSON array as it will be returned, ``preview_text`` is made from
    it.
    """

    tenant_id: str
    room_id: str
    sender_id: str
    parts: bytes
    preview_text: str | None
    client_message_id: str | None = None
    parent_message_id: str | None = None
    by_server: bool = False  # API key: frozen rooms take it


class ChangedMessage(msgspec.Struct, frozen=True):
    """A message as it is now; ``recipients`` is empty when nothing changed, which tells nobody."""

    message: Message
    recipients: tuple[str, ...]


class Messages(Protocol):
    """Messages and the marks on them."""

    async def send_message(
        self,
        draft: MessageDraft,
        *,
        then: Callable[[Sent], None] | None = None,
        once: Once[Sent] | None = None,
    ) -> Sent:
        """Store one message: membership, idempotency, sequence, unread state and room order in one go.

        Raises:
            NotFound: no such room in this tenant, or the sender is not in it.
            Forbidden: the room is frozen.
            InvalidRequest: the parent message is not in this room.
        """
        ...

    async def messages_page(
        self,
        tenant_id: str,
        room_id: str,
        *,
        viewer_id: str | None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> MessagePage:
        """Newest first.

        Raises:
            NotFound: no such room, or the viewer is not in it.
            InvalidRequest: the cursor is not one of ours.
        """
        ...

    async def message(self, tenant_id: str, room_id: str, message_id: str) -> Message | None: ...

    async def delete_message(
        self,
        tenant_id: str,
        room_id: str,
        message_id: str,
        *,
        actor_id: str | None,
        placeholder: str | None,
        then: Callable[[ChangedMessage], None] | None = None,
        once: Once[ChangedMessage] | None = None,
    ) -> ChangedMessage:
        """Empty a message. ``placeholder`` becomes its preview; None hides it altogether.

        Raises:
            NotFound: no such room or message, or the actor is not in the room.
            Forbidden: the actor is neither the sender nor an operator (the API key, None, may).
        """
        ...

    async def mark_read(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        message_id: str | None,
        then: Callable[[MarkedRead], None] | None = None,
        once: Once[MarkedRead] | None = None,
    ) -> MarkedRead:
        """Move the mark forward to ``message_id`` (None: to the newest); never back.

        Raises:
            NotFound: no such room, the user is not in it, or the message is not in it.
        """
        ...
