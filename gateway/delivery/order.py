"""Each tenant's durable events in the order of their numbers, each once, wherever they come from.

The numbers of a tenant's log have no holes, so that order is one comparison: the next event is the one after the last. It
may come from this node's own store, over the bus, or, when the bus has lost it, from the log; the first to come is taken and
the others are dropped. What comes early waits for what is missing. ::

                    next ──────── deliver, then whatever waited for it
    take(envelope)  late ──────── drop: it has been delivered
                    early ─────── wait, and say that there is a gap

The order is of the whole tenant and not of each room, because a client that comes back names one offset, that of the last
event it got: whatever has a lower number is then taken for received, whichever room it is of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.delivery.bus import Envelope
from gateway.records import LogEvent

WAITING_BYTES = 16_777_216
"""Most that waits for missing events, of all tenants together. What finds no room is dropped and comes from the log."""


class Order:
    """What has been delivered on this node, of the tenants that have users here, and what waits.

    Args:
        deliver: takes every event that is due, and those that have no place in a log as they come.
    """

    def __init__(self, deliver: Callable[[Envelope], None]) -> None:
        self._deliver = deliver
        self._positions: dict[str, int] = {}
        self._waiting: dict[str, dict[int, Envelope]] = {}  # by tenant and number; nearly always empty
        self._waiting_bytes = 0
        self._on_gap: Callable[[str], None] | None = None
        self._counts = {"early": 0, "late": 0, "refused": 0, "swept": 0}

    def on_gap(self, call: Callable[[str], None]) -> None:
        """Call this with a tenant's id when an event of it is missing, or may be."""
        self._on_gap = call

    def position(self, tenant_id: str) -> int | None:
        """The number of the last event that was delivered; None for a tenant that is not attended."""
        return self._positions.get(tenant_id)

    def begin(self, tenant_id: str, number: int) -> None:
        """Attend to a tenant, whose events up to ``number`` are of no concern here."""
        self._positions.setdefault(tenant_id, number)

    def end(self, tenant_id: str) -> None:
        """Nobody of the tenant is here any more."""
        del self._positions[tenant_id]
        for envelope in self._waiting.pop(tenant_id, {}).values():
            self._waiting_bytes -= len(envelope.payload)

    def take(self, envelope: Envelope) -> None:
        """Deliver it now, later, or not again."""
        number = envelope.number
        if number:
            position = self._positions.get(envelope.tenant_id)
            if position is not None:
                if number != position + 1:
                    self._not_next(envelope, position)
                    return
                self._positions[envelope.tenant_id] = number
                self._deliver(envelope)
                if self._waiting:
                    self._release(envelope.tenant_id)
                return
        self._deliver(envelope)

    def suspect(self, tenant_id: str) -> None:
        """Something of this tenant may have been missed."""
        if self._on_gap is not None and tenant_id in self._positions:
            self._on_gap(tenant_id)

    def heal(self, tenant_id: str, events: Sequence[LogEvent]) -> None:
        """Take what the log has after the position, from the first on."""
        position = self._positions.get(tenant_id)
        if position is None:
            return
        if events and events[0].number > position + 1:
            # Older than the log is kept: whoever was here for so long without them is not helped any more.
            self._pass_over(tenant_id, position, events[0].number - 1)
        for event in events:
            self.take(
                Envelope(
                    tenant_id,
                    event.user_ids,
                    event.event,
                    event.payload,
                    number=event.number,
                    epoch=event.epoch,
                )
            )

    def _pass_over(self, tenant_id: str, position: int, to: int) -> None:
        self._counts["swept"] += to - position
        self._positions[tenant_id] = to
        waiting = self._waiting.get(tenant_id, {})
        for number in [early for early in waiting if early <= to]:
            self._waiting_bytes -= len(waiting.pop(number).payload)

    def _not_next(self, envelope: Envelope, position: int) -> None:
        if envelope.number <= position:
            self._counts["late"] += 1
            return
        self._counts["early"] += 1
        if self._waiting_bytes + len(envelope.payload) > WAITING_BYTES:
            self._counts["refused"] += 1
        else:
            waiting = self._waiting.setdefault(envelope.tenant_id, {})
            if envelope.number not in waiting:
                waiting[envelope.number] = envelope
                self._waiting_bytes += len(envelope.payload)
        self.suspect(envelope.tenant_id)

    def _release(self, tenant_id: str) -> None:
        waiting = self._waiting.get(tenant_id)
        if waiting is None:
            return
        number = self._positions[tenant_id]
        while envelope := waiting.pop(number + 1, None):
            self._waiting_bytes -= len(envelope.payload)
            number += 1
            self._positions[tenant_id] = number
            self._deliver(envelope)
        if not waiting:
            del self._waiting[tenant_id]

    def tenants(self) -> list[str]:
        """Those that are attended."""
        return list(self._positions)

    def statistics(self) -> dict[str, int]:
        waiting = sum(map(len, self._waiting.values()))
        return {"tenants": len(self._positions), "waiting": waiting, **self._counts}
