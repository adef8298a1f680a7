"""The watch that ends what nobody ends: rings that are due, and the calls of people who have left the room.

What is due stands in the store and not in memory, so a call that rings when its process is killed is missed on time when
any process is there again. Every node watches, and the step in the store's transaction does it once. A look is one
indexed query; a timer for each ring would have to be told of rings that end, and of those of other nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
import trio

from signaling.ports import CallStore
from signaling.upkeep import Upkeep

LOOK_S: Final = 1.0
"""Between two looks, and so how late a ring may end: little, against the fifteen seconds that it takes at least."""

SWEEP_S: Final = 30.0
"""How often all live calls are compared with their rooms. That is for a process that was killed between the change of a
roster and the look at its calls; the living look at once (``Departures``)."""

AT_ONCE: Final = 200
"""Rings ended together, in one commit."""

ROOMS: Final = 10_000
"""Bound on the rooms that wait to be looked at; over it, all are."""

log = structlog.get_logger(__name__)


class Departures:
    """Rooms that somebody has left, whose calls must be looked at."""

    def __init__(self) -> None:
        self._rooms: set[str] = set()
        self._some = trio.Event()

    def left(self, room_id: str) -> None:
        """Somebody is not in this room any more. Never waits and never raises."""
        if len(self._rooms) < ROOMS:
            self._rooms.add(room_id)
        self._some.set()

    def take(self) -> set[str]:
        """The rooms so far."""
        rooms, self._rooms = self._rooms, set()
        self._some = trio.Event()
        return rooms

    async def wait(self) -> None:
        """Until there are some."""
        await self._some.wait()


async def run_call_watch(
    *, upkeep: Upkeep, store: CallStore, departures: Departures, clock: Callable[[], int]
) -> None:
    """Watch, for ever: two tasks, so that a room which cannot be looked at keeps no ring from ending.

    Args:
        clock: milliseconds since the epoch.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_run_rings, upkeep, store, clock)
        nursery.start_soon(_run_departures, upkeep, departures)


async def _run_rings(upkeep: Upkeep, store: CallStore, clock: Callable[[], int]) -> None:
    while True:
        try:
            while due := await store.due_calls(clock(), limit=AT_ONCE):
                async with trio.open_nursery() as nursery:
                    for call in due:
                        nursery.start_soon(upkeep.ring_out, call)
        except Exception:
            # The one boundary: what the store cannot do now must not end every ring for good.
            log.exception("ending rings failed; trying again")
        await trio.sleep(LOOK_S)


async def _run_departures(upkeep: Upkeep, departures: Departures) -> None:
    sweep_at = trio.current_time()
    while True:
        try:
            rooms = departures.take()
            if len(rooms) >= ROOMS or trio.current_time() >= sweep_at:
                await upkeep.drop_strays()
                sweep_at = trio.current_time() + SWEEP_S
            for room_id in rooms:
                await upkeep.drop_strays(room_id=room_id)
        except Exception:
            # The one boundary, as above. Which rooms were not looked at is forgotten: all are, next.
            sweep_at = trio.current_time()
            log.exception("looking after those who left a room failed; trying again")
            await trio.sleep(LOOK_S)
        with trio.move_on_after(LOOK_S):
            await departures.wait()
