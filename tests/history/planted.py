"""The gateway with a fault in it: ``python -m tests.history.planted FILE serve …``.

Which fault is in the file, where it can be exchanged while the gateway runs; an empty file is no fault.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from gateway.__main__ import main
from gateway.chat.messages import Messages
from gateway.delivery.bus import Envelope
from gateway.delivery.bus_redis import RedisBus
from gateway.delivery.following import Following
from gateway.delivery.hub import Hub
from gateway.delivery.order import Order
from gateway.delivery.outbox import Outbox
from gateway.delivery.recovery import Recovery, Returned
from gateway.records import Sent

LOSSY, TWICE, SWAPPED, OPEN, FORGETFUL = "lossy", "twice", "swapped", "open", "forgetful"
SKIPPING, REPEATING = "skipping", "repeating"

SHARE = 10
"""Each so-manieth is lost, held back, or forgotten."""


class Planted:
    """What is changed in the gateway, each while its fault is in the file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._counts = dict.fromkeys((LOSSY, SWAPPED, FORGETFUL), 0)
        self._held: list[Envelope] = []

    def plant(self) -> None:
        publish, look = RedisBus.publish, Following._look
        take, outboxes_of, send = Order.take, Hub.outboxes_of, Messages.send
        recover = Recovery.recover

        def publish_most(bus: RedisBus, envelope: Envelope) -> None:
            if not self._is_turn(LOSSY):
                publish(bus, envelope)
            if self._is(TWICE):
                publish(bus, envelope)

        async def look_away(following: Following, tenant_ids: Collection[str]) -> None:
            if not self._is(LOSSY):
                await look(following, tenant_ids)

        def take_as_it_comes(order: Order, envelope: Envelope) -> None:
            if not envelope.number or not (self._is(TWICE) or self._is(SWAPPED)):
                take(order, envelope)
            elif self._is_turn(SWAPPED):
                self._held.append(envelope)
            else:
                order._positions[envelope.tenant_id] = envelope.number
                order._deliver(envelope)
                while self._held:
                    order._deliver(self._held.pop())

        def outboxes_of_all(
            hub: Hub, tenant_id: str, user_ids: tuple[str, ...], *, but: str | None = None
        ) -> list[Outbox]:
            everybody = tuple(hub.users(tenant_id))
            return outboxes_of(hub, tenant_id, everybody if self._is(OPEN) else user_ids, but=but)

        async def send_or_say_so(messages: Messages, *place: str, **message: Any) -> Sent:
            sent = await send(messages, *place, **message)
            if sent.repeated or not self._is_turn(FORGETFUL):
                return sent
            message_of_none = msgspec.structs.replace(sent.message, id=str(uuid4()))
            return msgspec.structs.replace(sent, message=message_of_none, event=None)

        async def recover_nearly(recovery: Recovery, *whom: Any, **shown: Any) -> Returned | None:
            returned = await recover(recovery, *whom, **shown)
            if returned is None or not returned.missed:
                return returned
            if self._is(SKIPPING):
                return msgspec.structs.replace(returned, missed=returned.missed[1:])
            if self._is(REPEATING):
                return msgspec.structs.replace(returned, missed=[*returned.missed, returned.missed[-1]])
            return returned

        RedisBus.publish = publish_most  # type: ignore[method-assign, assignment]
        Following._look = look_away  # type: ignore[method-assign, assignment]
        Order.take = take_as_it_comes  # type: ignore[method-assign, assignment]
        Hub.outboxes_of = outboxes_of_all  # type: ignore[method-assign, assignment]
        Recovery.recover = recover_nearly  # type: ignore[method-assign, assignment]
        Messages.send = send_or_say_so  # type: ignore[method-assign, assignment]

    def _is(self, fault: str) -> bool:
        return self._file.read_text() == fault

    def _is_turn(self, fault: str) -> bool:
        if not self._is(fault):
            return False
        self._counts[fault] += 1
        return self._counts[fault] % SHARE == 0


if __name__ == "__main__":
    Planted(Path(sys.argv.pop(1))).plant()
    main()
