"""The logs of the tenants that have users here, followed: what the bus did not bring is read from the store.

There is reason to look when an event comes early, when the bus begins to bring a tenant's events, for the first time or
again, and every ``CHECK_S`` in any case: an event that was lost and is the last for now shows in nothing else. Looking is
one query for all; what turns out to be missing, and has not come while one waits a moment, is read in batches.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import structlog
import trio

from gateway.delivery.bus import Bus
from gateway.delivery.hub import Hub
from gateway.delivery.order import Order
from gateway.records import LogEvent

CHECK_S = 2.0
"""How often the ends of all logs are looked at: what the bus has lost without a trace is late by this much at most."""

PATIENCE_S = 0.05
"""How long an event may be on its way from the transaction that made it, through the bus. It nearly always is there within
milliseconds; reading it from the store as well does no harm."""

BATCH = 500
"""Events of one query, and tenants."""

IDLE_S = 60.0
"""How long a tenant is followed after its last user has gone. Longer than the admission of a connection, which begins with
``attend``, may take (``socket.connect_s``), and long enough that a lone client's reconnects cost nothing."""

log = structlog.get_logger(__name__)


class Log(Protocol):
    """What is kept of durable events (the store)."""

    async def log_heads(self, tenant_ids: Collection[str]) -> dict[str, int]: ...

    async def events_after(self, tenant_id: str, number: int, *, limit: int) -> list[LogEvent]: ...


class Following:
    """Begins and ends to follow tenants, and closes gaps."""

    def __init__(self, *, hub: Hub, order: Order, bus: Bus, log: Log) -> None:
        self._hub = hub
        self._order = order
        self._bus = bus
        self._log = log
        self._used_at: dict[str, float] = {}  # tenants, and when they were last seen to have a user here
        self._suspects: set[str] = set()
        self._work = trio.Event()
        self._healed = 0
        order.on_gap(self._suspect)

    async def attend(self, tenant_id: str) -> None:
        """Be sure that this tenant's events are delivered from now on. For whoever admits a session, before it is in the
        hub; it waits for the store when the session is the first of its tenant.

        Raises:
            Unavailable: the store is away.
        """
        if self._order.position(tenant_id) is None:
            heads = await self._log.log_heads([tenant_id])
            self._order.begin(tenant_id, heads.get(tenant_id, 0))
            # Only now: when the bus says that it follows, there is a position from which to look for what it missed.
            self._bus.follow(tenant_id)
        self._used_at[tenant_id] = trio.current_time()

    def _suspect(self, tenant_id: str) -> None:
        self._suspects.add(tenant_id)
        self._work.set()

    async def run(self) -> None:
        """Look whenever there is reason to, for ever."""
        check_at = trio.current_time() + CHECK_S
        while True:
            with trio.move_on_at(check_at):
                await self._work.wait()
            self._work = trio.Event()
            suspects, self._suspects = self._suspects, set()
            if trio.current_time() >= check_at:
                check_at = trio.current_time() + CHECK_S
                self._leave_unused()
                suspects = set(self._order.tenants())
            try:
                await self._look(suspects)
            except Exception:
                # The one boundary of following: a store that is away must not end it. The next check looks at all again.
                log.exception("the logs could not be read")

    async def _look(self, tenant_ids: Collection[str]) -> None:
        behind: dict[str, int] = {}
        asked = list(tenant_ids)
        for start in range(0, len(asked), BATCH):
            some = asked[start : start + BATCH]
            known = {tenant_id: self._order.position(tenant_id) or 0 for tenant_id in some}
            heads = await self._log.log_heads(some)
            for tenant_id, head in heads.items():
                if head < known[tenant_id]:
                    # What was delivered is not in the log: the database was put back to an earlier state.
                    log.warning("the log has begun again", tenant_id=tenant_id, head=head)
                    self._order.end(tenant_id)
                    self._order.begin(tenant_id, head)
            behind.update(
                (tenant_id, head) for tenant_id, head in heads.items() if self._lacks(tenant_id, head)
            )
        if behind:
            await trio.sleep(PATIENCE_S)
            for tenant_id, head in behind.items():
                await self._catch_up(tenant_id, head)

    def _lacks(self, tenant_id: str, number: int) -> bool:
        position = self._order.position(tenant_id)
        return position is not None and position < number

    async def _catch_up(self, tenant_id: str, head: int) -> None:
        while self._lacks(tenant_id, head):
            position = self._order.position(tenant_id)
            assert position is not None
            events = await self._log.events_after(tenant_id, position, limit=BATCH)
            if not events:
                return  # another log stands in this one's place: the next check sees its end
            self._healed += len(events)
            self._order.heal(tenant_id, events)
            await trio.lowlevel.checkpoint()

    def _leave_unused(self) -> None:
        now = trio.current_time()
        for tenant_id in self._order.tenants():
            if self._hub.users(tenant_id):
                self._used_at[tenant_id] = now
            elif now - self._used_at[tenant_id] > IDLE_S:
                del self._used_at[tenant_id]
                self._order.end(tenant_id)
                self._bus.unfollow(tenant_id)

    def statistics(self) -> dict[str, int]:
        return {**self._order.statistics(), "healed": self._healed}
