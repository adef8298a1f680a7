"""How far each participant has read, and how much has arrived (contract 3.6)."""

from __future__ import annotations

from gateway.chat.ports import Fanout
from gateway.records import DeliveryMark, MarkedRead
from gateway.store.ports import Once, Store, Written


class Receipts:
    """What REST offers on read and delivery marks."""

    def __init__(self, *, store: Store, fanout: Fanout) -> None:
        self._store = store
        self._fanout = fanout

    def read(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        message_id: str | None,
        once: Once[MarkedRead] | None = None,
    ) -> Written[MarkedRead]:
        """Move the user's mark to a message, or to the newest; tell the participants when it moved.

        Raises:
            NotFound (when it is waited for): no such room, the user is not in it, or the message is not in it.
        """

        def announce(marked: MarkedRead) -> None:
            if marked.event is not None:
                self._fanout.tell(tenant_id, marked.event)

        return self._store.mark_read(
            tenant_id, room_id, user_id, message_id=message_id, then=announce, once=once
        )

    def delivered(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        message_id: str | None,
        once: Once[DeliveryMark] | None = None,
    ) -> Written[DeliveryMark]:
        """Move the user's mark of what has arrived to a message, or to the newest. No event tells of it.

        Raises:
            NotFound (when it is waited for): no such room, the user is not in it, or the message is not in it.
        """
        return self._store.mark_delivered(tenant_id, room_id, user_id, message_id=message_id, once=once)
