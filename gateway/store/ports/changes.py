"""Changing messages that are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from gateway.records import LogEvent, Message
from gateway.store.ports.once import Once


class ChangedMessage(msgspec.Struct, frozen=True):
    """A message as it is now; ``event`` is None when nothing changed, which tells nobody."""

    message: Message
    event: LogEvent | None

    @property
    def recipients(self) -> tuple[str, ...]:
        """Who is to be told."""
        return () if self.event is None else self.event.user_ids


class MessageEdit(msgspec.Struct, frozen=True, kw_only=True):
    """What a message is to say instead; ``actor_id`` None is the API key. For the rest see
    ``MessageDraft``.
    """

    tenant_id: str
    room_id: str
    message_id: str
    actor_id: str | None
    parts: bytes
    preview_text: str | None
    upload_ids: tuple[str, ...] = ()


class Changes(Protocol):
    """Changing messages that are there.

    Raises (any method): ``NotFound`` when there is no such room or message, or the one who acts is not in the
    room or has cleared the message away.
    """

    async def edit_message(
        self,
        edit: MessageEdit,
        *,
        then: Callable[[ChangedMessage], None] | None = None,
        once: Once[ChangedMessage] | None = None,
    ) -> ChangedMessage:
        """Replace the parts of a message.

        Raises:
            Forbidden: the actor is not the sender, the message is one that the server made, or the room is
                frozen (the API key may all that).
            Conflict: the message is deleted.
            InvalidRequest: an upload is neither one that the actor may use nor in the message already.
        """
        ...

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
            Forbidden: the actor is neither the sender nor an operator (the API key, None, may).
        """
        ...

    async def toggle_reaction(
        self,
        tenant_id: str,
        room_id: str,
        message_id: str,
        *,
        user_id: str,
        emoji: str,
        by_server: bool = False,
        then: Callable[[ChangedMessage], None] | None = None,
        once: Once[ChangedMessage] | None = None,
    ) -> ChangedMessage:
        """Add this user's reaction, or take it away if it is there.

        Raises:
            Forbidden: the room is frozen (``by_server`` may).
            Conflict: the message is deleted, or has too many reactions.
        """
        ...

    async def pin_message(
        self,
        tenant_id: str,
        room_id: str,
        message_id: str,
        *,
        user_id: str | None,
        by_server: bool = False,
        then: Callable[[ChangedMessage], None] | None = None,
        once: Once[ChangedMessage] | None = None,
    ) -> ChangedMessage:
        """Pin a message; one that is pinned stays as it is. ``user_id`` None: nobody in particular pins it.

        Raises:
            Forbidden: the room is frozen (``by_server`` may).
            Conflict: the message is deleted, or the room has too many pins.
        """
        ...

    async def unpin_message(
        self,
        tenant_id: str,
        room_id: str,
        message_id: str,
        *,
        user_id: str | None,
        by_server: bool = False,
        then: Callable[[ChangedMessage], None] | None = None,
        once: Once[ChangedMessage] | None = None,
    ) -> ChangedMessage:
        """Take the pin off a message; one that has none stays as it is.

        Raises:
            Forbidden: the room is frozen (``by_server`` may).
        """
        ...
