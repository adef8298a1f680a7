"""Messages and the marks on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.errors import GatewayError
from gateway.records import DeliveryMark, MarkedRead, Message, MessageList, MessagePage, ReplyPage, Sent
from gateway.store import deliveries, forwarding, histories, messages, receipts
from gateway.store.connection import Cursor
from gateway.store.groups import Joint, Kind
from gateway.store.operations.base import Database, Operations
from gateway.store.ports import ForwardDraft, Forwarded, MessageDraft, Once, Written
from gateway.store.rosters import Rosters


class MessageOperations(Operations):
    """``gateway.store.ports.Messages`` in SQL."""

    def __init__(self, *, database: Database, rosters: Rosters, clock: Callable[[], int]) -> None:
        super().__init__(database=database, rosters=rosters, clock=clock)
        self._sending = Kind(self._send, self._send_each)

    def send_message(
        self,
        draft: MessageDraft,
        *,
        then: Callable[[Sent], None] | None = None,
        once: Once[Sent] | None = None,
    ) -> Written[Sent]:
        job: Callable[[Cursor], Sent] = Joint(self._sending, draft)
        return self._write(draft.tenant_id, job, then, once)

    def _send(self, db: Cursor, draft: MessageDraft) -> Sent:
        return messages.send(db, self._rosters, draft, self._clock())

    def _send_each(self, db: Cursor, drafts: Sequence[MessageDraft]) -> list[Sent | GatewayError]:
        return messages.send_each(db, self._rosters, drafts, self._clock())

    async def forward_message(
        self,
        draft: ForwardDraft,
        *,
        then: Callable[[Forwarded], None] | None = None,
        once: Once[Forwarded] | None = None,
    ) -> Forwarded:
        return await self._write(
            draft.tenant_id,
            lambda db: forwarding.forward(db, self._rosters, draft, self._clock()),
            then,
            once,
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
        return await self._read(
            lambda db: histories.page(
                db, tenant_id, room_id, viewer_id=viewer_id, limit=limit, cursor=cursor
            ),
            together=True,
        )

    async def pinned_messages(self, tenant_id: str, room_id: str, *, viewer_id: str | None) -> MessageList:
        return await self._read(
            lambda db: histories.pinned(db, tenant_id, room_id, viewer_id=viewer_id), together=True
        )

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
        return await self._read(
            lambda db: histories.replies(
                db, tenant_id, room_id, message_id, viewer_id=viewer_id, limit=limit, cursor=cursor
            ),
            together=True,
        )

    async def message(self, tenant_id: str, room_id: str, message_id: str) -> Message | None:
        return await self._read(lambda db: messages.find(db, tenant_id, room_id, message_id))

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
        return self._write(
            tenant_id,
            lambda db: receipts.mark_read(
                db, self._rosters, tenant_id, room_id, user_id, message_id=message_id, now=self._clock()
            ),
            then,
            once,
        )

    def mark_delivered(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        message_id: str | None,
        once: Once[DeliveryMark] | None = None,
    ) -> Written[DeliveryMark]:
        return self._write(
            tenant_id,
            lambda db: deliveries.mark_delivered(
                db, tenant_id, room_id, user_id, message_id=message_id, now=self._clock()
            ),
            once=once,
        )
