"""How long somebody who has gone still counts as here: a reconnect within the grace shows nothing (contract 4.6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from gateway.delivery.timers import Timer, Wheel

STORM = 100
"""More than this many on their way in at once are one."""

STORM_S = 60.0
"""How much longer the grace may become by that: those who come and never say who they are hold nothing up beyond it. Longer
than any storm takes that this process can hold at all."""

STORM_STEP_S = 0.5
"""When to look again whether it is over."""


class Grace:
    """Begins with somebody's departure, and may be cancelled by his return.

    When everybody was cut off at once, everybody comes back at once, and to let in ten thousand takes longer than the grace.
    Those who still stand in line must not be shown offline for that, so the grace does not end in a storm.

    Args:
        in_storm: whether so many are on their way in that whoever has gone may be among them.
    """

    def __init__(self, *, wheel: Wheel, seconds: float, in_storm: Callable[[], bool]) -> None:
        self._wheel = wheel
        self._seconds = seconds
        self._in_storm = in_storm

    def begin(self, then: Callable[..., None], *args: Any) -> Timer:
        """Call ``then(*args)`` when it is over."""
        latest = trio.current_time() + self._seconds + STORM_S

        def over() -> None:
            now = trio.current_time()
            if now < latest and self._in_storm():
                self._wheel.move(timer, now + STORM_STEP_S)
            else:
                timer.cancel()  # it and this function hold each other
                then(*args)

        timer = self._wheel.after(self._seconds, over)
        return timer
