"""What is kept of messages, and of how far each participant has come in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from gateway.records import DeliveryMark, MarkedRead, Message, MessageList, MessagePage, ReplyPage, Sent
from gateway.store.ports.once import Once
from gateway.store.ports.pending import Written


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
    forwarded_from_id: str | None = None
    forwarded_from_sender_id: str | None = None
    upload_ids: tuple[str, ...] = ()  # of the files in ``parts``, where they are not those of a forwarded one


class ForwardDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A message of ``room_id`` that ``user_id`` wants to be in each of ``target_room_ids`` too."""

    tenant_id: str
    room_id: str
    message_id: str
    user_id: str
    target_room_ids: Sequence[str]
    by_server: bool = False


class Forwarded(msgspec.Struct, frozen=True):
    """The new messages, in the order of the targets."""

    sent: tuple[Sent, ...]


class Messages(Protocol):
    """Messages and the marks on them."""

    def send_message(
        self,
        draft: MessageDraft,
        *,
        then: Callable[[Sent], None] | None = None,
        once: Once[Sent] | None = None,
    ) -> Written[Sent]:
        """Store one message: membership, idempotency, sequence, unread state and room order in one go.

        Raises:
            NotFound: no such room in this tenant, or the sender is not in it.
            Forbidden: the room is frozen.
            InvalidRequest: the parent message is not in this room, or an upload is not one that the sender may
                use.
        """
        ...

    async def forward_message(
        self,
        draft: ForwardDraft,
        *,
        then: Callable[[Forwarded], None] | None = None,
        once: Once[Forwarded] | None = None,
    ) -> Forwarded:
        """Store a copy of a message in each of the target rooms, or in none.

        Raises:
            NotFound: no such room or message, or the user is not in one of the rooms or has cleared the
                message away.
            Forbidden: one of the target rooms is frozen.
            InvalidRequest: the message is deleted, or one that the server made.
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

    async def pinned_messages(self, tenant_id: str, room_id: str, *, viewer_id: str | None) -> MessageList:
        """Newest pin first.

        Raises:
            NotFound: no such room, or the viewer is not in it.
        """
        ...

    async def replies_page(
        self,
        tenant_id: str,
        room_id: str,
        message_id: str,
        *,
        viewer_id: str | None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> ReplyPage:
        """The replies to one message, newest first.

        Raises:
            NotFound: no such room or message, or the viewer is not in the room or has cleared it away.
            InvalidRequest: the cursor is not one of ours.
        """
        ...

    async def message(self, tenant_id: str, room_id: str, message_id: str) -> Message | None: ...

    def mark_read(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        message_id: str | None,
        then: Callable[[MarkedRead], None] | None = None,
        once: Once[MarkedRead] | None = None,
    ) -> Written[MarkedRead]:
        """Move the mark forward to ``message_id`` (None: to the newest); never back.

        Raises:
            NotFound: no such room, the user is not in it, or the message is not in it.
        """
        ...

    def mark_delivered(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        message_id: str | None,
        once: Once[DeliveryMark] | None = None,
    ) -> Written[DeliveryMark]:
        """Move the mark of what has arrived forward to ``message_id`` (None: to the newest); never back.

        Raises:
            NotFound: no such room, the user is not in it, or the message is not in it.
        """
        ...
