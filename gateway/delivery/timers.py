"""One timer wheel for everything that is due later: pings, deadlines, token expiry, presence grace.

A sleeping Trio task per timer would cost 30 us and 3.2 KB each; a timer here is one small object in a bucket. Moving a
deadline later, which is what nearly every ping and keep-alive does, is one attribute: the timer is looked at when its old
bucket comes due and put where it then belongs.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Any

import structlog
import trio

RESOLUTION_S = 0.01
"""Width of a bucket: how late a timer may be. Small beside the shortest ping (a fraction of a second in tests)."""

HORIZON_S = 60.0
"""How far ahead a bucket may lie. What is due later is looked at once a minute instead, so that the timers of connections
that are gone (a token that would have expired tomorrow) are dropped within a minute."""

log = structlog.get_logger(__name__)


class Bucket(list["Timer"]):
    """The timers that are looked at in one moment, and some that were cancelled or have moved to an earlier one.

    Attributes:
        slot: the moment, in ``RESOLUTION_S``.
        cancelled: how many of them were.
    """

    __slots__ = ("cancelled", "slot")

    def __init__(self, slot: int) -> None:
        super().__init__()
        self.slot = slot
        self.cancelled = 0


class Timer:
    """Something to call once at ``deadline`` (Trio's clock, seconds); ``math.inf`` means not now.

    Call ``Wheel.move`` to change the deadline; ``cancel`` forgets the callback, and with it whatever that keeps alive.
    """

    __slots__ = ("_args", "_bucket", "_callback", "deadline")

    def __init__(self, deadline: float, callback: Callable[..., None], args: tuple[Any, ...]) -> None:
        self.deadline = deadline
        self._callback: Callable[..., None] | None = callback
        self._args = args
        self._bucket: Bucket | None = None

    def cancel(self) -> None:
        self._callback = None
        self._args = ()
        self.deadline = math.inf
        bucket = self._bucket
        if bucket is None:
            return
        self._bucket = None
        bucket.cancelled += 1
        # Nearly every deadline of a connection that is coming in is met, long before it is due: kept until then, those
        # timers would be a tenth of what a connection takes.
        if bucket.cancelled * 2 > len(bucket):
            bucket[:] = [timer for timer in bucket if timer._bucket is bucket]
            bucket.cancelled = 0


class Wheel:
    """Buckets of timers, and one task that sleeps to the next bucket that holds any.

    Callbacks take positional arguments, as everywhere in Trio: with a plain function and its object a timer costs a third of
    what it does with a closure, and every connection has some. They are synchronous and short; one that raises is logged and
    ends nothing else.
    """

    def __init__(self) -> None:
        self._buckets: dict[int, Bucket] = {}
        self._due: list[int] = []  # heap of the buckets' slot numbers
        self._scope: trio.CancelScope | None = None  # the sleep of the running task

    def at(self, deadline: float, callback: Callable[..., None], *args: Any) -> Timer:
        """Call ``callback(*args)`` at ``deadline``, not before, and at most a bucket's width late."""
        timer = Timer(deadline, callback, args)
        self._place(timer)
        return timer

    def after(self, seconds: float, callback: Callable[..., None], *args: Any) -> Timer:
        return self.at(trio.current_time() + seconds, callback, *args)

    def move(self, timer: Timer, deadline: float) -> None:
        """Set a new deadline on a timer that has fired, is waiting, or was paused with ``math.inf``."""
        timer.deadline = deadline
        bucket = timer._bucket
        if bucket is None or deadline < bucket.slot * RESOLUTION_S:
            self._place(timer)

    def _place(self, timer: Timer) -> None:
        if timer.deadline == math.inf:
            timer._bucket = None
            return
        due = min(timer.deadline, trio.current_time() + HORIZON_S)
        slot = math.ceil(due / RESOLUTION_S)
        if slot * RESOLUTION_S < due:
            slot += 1  # the division rounded down; a bucket must not come due before what it holds
        bucket = self._buckets.get(slot)
        if bucket is not None:
            timer._bucket = bucket
            bucket.append(timer)
            return
        timer._bucket = bucket = self._buckets[slot] = Bucket(slot)
        bucket.append(timer)
        heapq.heappush(self._due, slot)
        if self._scope is not None and self._due[0] == slot:
            self._scope.deadline = slot * RESOLUTION_S

    def fire(self, now: float) -> None:
        """Call everything due at ``now``; put back what was moved later meanwhile."""
        while self._due and self._due[0] * RESOLUTION_S <= now:
            slot = heapq.heappop(self._due)
            bucket = self._buckets.pop(slot)
            for timer in [*bucket]:  # a callback may cancel others
                if timer._bucket is not bucket:
                    continue  # cancelled, or moved to an earlier bucket, where it has been seen
                timer._bucket = None
                if timer._callback is None:
                    continue  # cancelled, and moved nevertheless
                if timer.deadline > now:
                    self._place(timer)
                    continue
                try:
                    timer._callback(*timer._args)
                except Exception:
                    # The one boundary of timer callbacks: a bug in one must not stop everybody's pings.
                    log.exception("timer failed")

    async def run(self) -> None:
        """Fire timers for ever."""
        while True:
            wake = self._due[0] * RESOLUTION_S if self._due else math.inf
            with trio.CancelScope(deadline=wake) as self._scope:
                await trio.sleep_forever()
            self.fire(trio.current_time())

    def statistics(self) -> dict[str, int]:
        return {"buckets": len(self._buckets)}
