"""Sending, forwarding and listing messages."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.chat.limits import Limiter
from gateway.chat.parts import read_parts
from gateway.chat.ports import Fanout
from gateway.records import MessageList, MessagePage, ReplyPage, Sent
from gateway.store.ports import ForwardDraft, Forwarded, MessageDraft, Once, Store, Written


class Messages:
    """What REST offers on messages."""

    def __init__(self, *, store: Store, fanout: Fanout, limiter: Limiter) -> None:
        self._store = store
        self._fanout = fanout
        self._limiter = limiter

    def send(
        self,
        tenant_id: str,
        room_id: str,
        sender_id: str,
        *,
        parts: bytes | msgspec.Raw,
        client_message_id: str | None = None,
        parent_message_id: str | None = None,
        by_server: bool = False,
        once: Once[Sent] | None = None,
    ) -> Written[Sent]:
        """Store a message and tell every device of every participant, the sender's own included.

        It has been sent when the message is durable; by then it has been put on every socket of this node, in the
        order of the commits.

        Args:
            parts: the JSON array as the client wrote it.
            by_server: the tenant's backend sends: no rate limit, frozen rooms take it, and it may write call
                logs.

        Raises:
            RateLimited: a user sent more than ``limits.send_message`` allows.
            InvalidRequest: the parts are not valid; or, when it is waited for, an upload in them is not the sender's, or the
                parent is not in this room.
            NotFound (when it is waited for): no such room, or the sender is not in it.
            Forbidden (when it is waited for): the room is frozen.
        """
        if not by_server:
            self._limiter.require(tenant_id, sender_id, "send-message")
        content = read_parts(parts, by_server=by_server)
        draft = MessageDraft(
            tenant_id=tenant_id,
            room_id=room_id,
            sender_id=sender_id,
            parts=content.json,
            preview_text=content.preview_text,
            upload_ids=content.upload_ids,
            client_message_id=client_message_id,
            parent_message_id=parent_message_id,
            by_server=by_server,
        )

        def announce(sent: Sent) -> None:
            if sent.event is not None:
                self._fanout.tell(tenant_id, sent.event)

        return self._store.send_message(draft, then=announce, once=once)

    async def forward(
        self,
        tenant_id: str,
        room_id: str,
        message_id: str,
        user_id: str,
        *,
        target_room_ids: Sequence[str],
        by_server: bool = False,
        once: Once[Forwarded] | None = None,
    ) -> bytes:
        """Send a copy of a message to each of the rooms, or to none, and tell their participants.

        Returns the list of the new messages encoded, in the order of the rooms.

        Args:
            target_room_ids: a room named twice gets one copy.

        Raises:
            RateLimited: a user sent more than ``limits.send_message`` allows; each copy counts.
            NotFound: no such room or message, or the user is not in one of the rooms.
            Forbidden: one of the target rooms is frozen.
            InvalidRequest: the message is deleted, or one that the server made.
        """
        targets = tuple(dict.fromkeys(target_room_ids))
        if not by_server:
            self._limiter.require(tenant_id, user_id, "send-message", tokens=len(targets))
        draft = ForwardDraft(
            tenant_id=tenant_id,
            room_id=room_id,
            message_id=message_id,
            user_id=user_id,
            target_room_ids=targets,
            by_server=by_server,
        )

        def announce(forwarded: Forwarded) -> None:
            for sent in forwarded.sent:
                if sent.event is not None:
                    self._fanout.tell(tenant_id, sent.event)

        forwarded = await self._store.forward_message(draft, then=announce, once=once)
        encoded = [sent.event.payload for sent in forwarded.sent if sent.event is not None]
        return b'{"messages":[' + b",".join(encoded) + b"]}"

    async def pinned(self, tenant_id: str, room_id: str, *, viewer_id: str | None) -> MessageList:
        """The room's pinned messages, newest pin first, as the viewer may see them.

        Raises:
            NotFound: no such room, or the viewer is not in it.
        """
        return await self._store.pinned_messages(tenant_id, room_id, viewer_id=viewer_id)

    async def replies(
        self,
        tenant_id: str,
        room_id: str,
        message_id: str,
        *,
        viewer_id: str | None,
        limit: int,
        cursor: str | None,
    ) -> ReplyPage:
        """The replies to a message, newest first, as the viewer may see them.

        Raises:
            NotFound: no such room or message, or the viewer is not in the room.
            InvalidRequest: the cursor is not one of ours.
        """
        return await self._store.replies_page(
            tenant_id, room_id, message_id, viewer_id=viewer_id, limit=limit, cursor=cursor
        )

    async def page(
        self, tenant_id: str, room_id: str, *, viewer_id: str | None, limit: int, cursor: str | None
    ) -> MessagePage:
        """The room's messages, newest first, as the viewer may see them; all of them for the tenant's
        backend.

        Raises:
            NotFound: no such room, or the viewer is not in it.
            InvalidRequest: the cursor is not one of ours.
        """
        return await self._store.messages_page(
            tenant_id, room_id, viewer_id=viewer_id, limit=limit, cursor=cursor
        )
