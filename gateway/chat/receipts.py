"""How far each participant has read, and how much has arrived (contract 3.6)."""

from __future__ import annotations

import msgspec

from gateway.chat.ports import Fanout
from gateway.records import DeliveryMark, MarkedRead, ReadMark
from gateway.store.ports import Once, Store


class RoomRead(msgspec.Struct, frozen=True, rename="camel"):
    """The payload of ``room-read``."""

    room_id: str
    user_id: str
    last_read_at: str
    last_read_message_id: str | None


class Receipts:
    """What REST offers on read and delivery marks."""

    def __init__(self, *, store: Store, fanout: Fanout) -> None:
        self._store = store
        self._fanout = fanout

    async def read(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        message_id: str | None,
        once: Once[MarkedRead] | None = None,
    ) -> ReadMark:
        """Move the user's mark to a message, or to the newest; tell the participants when it moved.

        Raises:
            NotFound: no such room, the user is not in it, or the message is not in it.
        """

        def announce(marked: MarkedRead) -> None:
            if marked.recipients:
                mark = marked.mark
                event = RoomRead(mark.room_id, mark.user_id, mark.last_read_at, mark.last_read_message_id)
                self._fanout.to_users(tenant_id, marked.recipients, "room-read", msgspec.json.encode(event))

        marked = await self._store.mark_read(
            tenant_id, room_id, user_id, message_id=message_id, then=announce, once=once
        )
        return marked.mark

    async def delivered(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        message_id: str | None,
        once: Once[DeliveryMark] | None = None,
    ) -> DeliveryMark:
        """Move the user's mark of what has arrived to a message, or to the newest. No event tells of it.

        Raises:
            NotFound: no such room, the user is not in it, or the message is not in it.
        """
        return await self._store.mark_delivered(tenant_id, room_id, user_id, message_id=message_id, once=once)
