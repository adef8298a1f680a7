"""Changing messages that are there. Every change reaches all devices as ``message-updated`` (contract 4.4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from gateway.chat.limits import Limiter
from gateway.chat.parts import read_parts
from gateway.chat.ports import Fanout
from gateway.chat.settings import ChatSettings
from gateway.store.ports import ChangedMessage, MessageEdit, Once, Store

_ENCODE = msgspec.json.Encoder().encode


class Changes:
    """What REST offers on messages that are there.

    Each method returns the message encoded, the very bytes that went to the sockets of every participant in
    the order of the commits; when nothing changed nobody is told. They all raise ``NotFound`` when there is no
    such room or message, or the one who acts is not in the room or has cleared the message away. Who acts as
    the tenant's backend has no rate limit, and frozen rooms let it.
    """

    def __init__(self, *, store: Store, fanout: Fanout, limiter: Limiter) -> None:
        self._store = store
        self._fanout = fanout
        self._limiter = limiter

    async def edit(
        self,
        tenant_id: str,
        room_id: str,
        message_id: str,
        *,
        actor_id: str | None,
        parts: bytes | msgspec.Raw,
        once: Once[ChangedMessage] | None = None,
    ) -> bytes:
        """Replace the parts of a message.

        Args:
            actor_id: None is the tenant's backend, which may edit any message and write call logs.
            parts: the JSON array as the client wrote it.

        Raises:
            RateLimited: a user sent or changed more than ``limits.send_message`` allows.
            InvalidRequest: the parts are not valid.
            Forbidden: the actor is not the sender, the message is one that the server made, or the room is
                frozen.
            Conflict: the message is deleted.
        """
        if actor_id is not None:
            self._limiter.require(tenant_id, actor_id, "send-message")
        content = read_parts(parts, by_server=actor_id is None)
        edit = MessageEdit(
            tenant_id=tenant_id,
            room_id=room_id,
            message_id=message_id,
            actor_id=actor_id,
            parts=content.json,
            preview_text=content.preview_text,
            upload_ids=content.upload_ids,
        )
        return await self._told(tenant_id, lambda then: self._store.edit_message(edit, then=then, once=once))

    async def delete(
        self,
        tenant_id: str,
        room_id: str,
        message_id: str,
        *,
        actor_id: str | None,
        settings: ChatSettings,
        once: Once[ChangedMessage] | None = None,
    ) -> bytes:
        """Empty a message; it stays as a placeholder or is hidden, as the tenant's settings have it.

        Args:
            actor_id: None is the tenant's backend.

        Raises:
            Forbidden: the actor is neither the sender nor an operator.
        """
        hidden = settings.deleted_message_display == "hidden"
        placeholder = None if hidden else settings.deleted_message_placeholder
        return await self._told(
            tenant_id,
            lambda then: self._store.delete_message(
                tenant_id,
                room_id,
                message_id,
                actor_id=actor_id,
                placeholder=placeholder,
                then=then,
                once=once,
            ),
        )

    async def react(
        self,
        tenant_id: str,
        room_id: str,
        message_id: str,
        *,
        user_id: str,
        emoji: str,
        by_server: bool = False,
        once: Once[ChangedMessage] | None = None,
    ) -> bytes:
        """Add this user's reaction, or take it away if it is there.

        Raises:
            RateLimited: a user sent or changed more than ``limits.send_message`` allows.
            Forbidden: the room is frozen.
            Conflict: the message is deleted, or has too many reactions.
        """
        if not by_server:
            self._limiter.require(tenant_id, user_id, "send-message")
        return await self._told(
            tenant_id,
            lambda then: self._store.toggle_reaction(
                tenant_id,
                room_id,
                message_id,
                user_id=user_id,
                emoji=emoji,
                by_server=by_server,
                then=then,
                once=once,
            ),
        )

    async def pin(
        self,
        tenant_id: str,
        room_id: str,
        message_id: str,
        *,
        user_id: str | None,
        pinned: bool,
        by_server: bool = False,
        once: Once[ChangedMessage] | None = None,
    ) -> bytes:
        """Pin a message, or take its pin off; what is so already stays as it is.

        Raises:
            RateLimited: a user sent or changed more than ``limits.send_message`` allows.
            Forbidden: the room is frozen.
            Conflict: the message to pin is deleted, or the room has too many pins.
        """
        if user_id is not None and not by_server:
            self._limiter.require(tenant_id, user_id, "send-message")
        change = self._store.pin_message if pinned else self._store.unpin_message
        return await self._told(
            tenant_id,
            lambda then: change(
                tenant_id, room_id, message_id, user_id=user_id, by_server=by_server, then=then, once=once
            ),
        )

    async def _told(
        self,
        tenant_id: str,
        change: Callable[[Callable[[ChangedMessage], None]], Awaitable[ChangedMessage]],
    ) -> bytes:
        """Make a change and tell of it."""

        def announce(changed: ChangedMessage) -> None:
            if changed.event is not None:
                self._fanout.tell(tenant_id, changed.event)

        changed = await change(announce)
        return _ENCODE(changed.message) if changed.event is None else changed.event.payload
