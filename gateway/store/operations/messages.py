"""Messages and the marks on them."""

from __future__ import annotations

from collections.abc import Callable

from gateway.records import MarkedRead, Message, MessagePage, Sent
from gateway.store import deletions, messages, receipts
from gateway.store.operations.base import Operations
from gateway.store.ports import ChangedMessage, MessageDraft, Once


class MessageOperations(Operations):
    """``gateway.store.ports.Messages`` in SQLite."""

    async def send_message(
        self,
        draft: MessageDraft,
        *,
        then: Callable[[Sent], None] | None = None,
        once: Once[Sent] | None = None,
    ) -> Sent:
        return await self._write(
            lambda db: messages.send(db, self._rosters, draft, self._clock()), then, once
        )

    async def messages_page(
        self,
        tenant_id: str,
        room_id: str,
        *,
        viewer_id: str | None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> MessagePage:
        return self._read(
            lambda db: messages.page(db, tenant_id, room_id, viewer_id=viewer_id, limit=limit, cursor=cursor),
            together=True,
        )

    async def message(self, tenant_id: str, room_id: str, message_id: str) -> Message | None:
        return self._read(lambda db: messages.find(db, tenant_id, room_id, message_id))

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
        return await self._write(
            lambda db: deletions.delete(
                db,
                self._rosters,
                tenant_id,
                room_id,
                message_id,
                actor_id=actor_id,
                placeholder=placeholder,
                now=self._clock(),
            ),
            then,
            once,
        )

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
        return await self._write(
            lambda db: receipts.mark_read(
                db, self._rosters, tenant_id, room_id, user_id, message_id=message_id, now=self._clock()
            ),
            then,
            once,
        )
