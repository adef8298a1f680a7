"""Sending and listing messages."""

from __future__ import annotations

import msgspec

from gateway.chat.limits import Limiter
from gateway.chat.parts import read_parts
from gateway.chat.ports import Fanout
from gateway.errors import RateLimited
from gateway.records import Message, MessagePage, Sent
from gateway.store.ports import MessageDraft, Once, Store

_ENCODE = msgspec.json.Encoder().encode


class Delivered(msgspec.Struct, frozen=True):
    """A message that is stored and told.

    Attributes:
        json: the message encoded, the very bytes that went to the sockets.
        repeated: it had been stored before, under the same ``clientMessageId``, and nobody was told again.
    """

    message: Message
    json: bytes
    repeated: bool


class Messages:
    """What REST offers on messages."""

    def __init__(self, *, store: Store, fanout: Fanout, limiter: Limiter) -> None:
        self._store = store
        self._fanout = fanout
        self._limiter = limiter

    async def send(
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
    ) -> Delivered:
        """Store a message and tell every device of every participant, the sender's own included.

        Returns when the message is durable; by then it has been put on every socket of this node, in the
        order of the commits. It is encoded once, for all of them and for the answer.

        Args:
            parts: the JSON array as the client wrote it.
            by_server: the tenant's backend sends: no rate limit, frozen rooms take it, and it may write call
                logs.

        Raises:
            RateLimited: a user sent more than ``limits.send_message`` allows.
            InvalidRequest: the parts are not valid, or the parent is not in this room.
            NotFound: no such room, or the sender is not in it.
            Forbidden: the room is frozen.
        """
        if not by_server:
            retry_after_s = self._limiter.take(tenant_id, sender_id, "send-message")
            if retry_after_s:
                raise RateLimited("Too many messages, try again soon.", retry_after_s=retry_after_s)
        content = read_parts(parts, by_server=by_server)
        draft = MessageDraft(
            tenant_id=tenant_id,
            room_id=room_id,
            sender_id=sender_id,
            parts=content.json,
            preview_text=content.preview_text,
            client_message_id=client_message_id,
            parent_message_id=parent_message_id,
            by_server=by_server,
        )
        json = b""

        def announce(sent: Sent) -> None:
            nonlocal json
            json = _ENCODE(sent.message)
            if sent.recipients:
                self._fanout.to_users(tenant_id, sent.recipients, "new-message", json)

        sent = await self._store.send_message(draft, then=announce, once=once)
        return Delivered(message=sent.message, json=json or _ENCODE(sent.message), repeated=sent.repeated)

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
