"""Signaling put together."""

from __future__ import annotations

from collections.abc import Callable

from signaling.calls import Calls
from signaling.ports import Announce, CallStore, Limiter, Media
from signaling.ringing import Departures, run_call_watch
from signaling.steps import Steps
from signaling.upkeep import Upkeep


class Switchboard:
    """Everything about calls on one node.

    Args:
        media: None while there is no LiveKit.
        clock: milliseconds since the epoch; also called in other threads.

    Attributes:
        calls: what clients ask.
        upkeep: what happens by itself, and what the media server reports.
        departures: to be told of whoever leaves a room.
    """

    def __init__(
        self,
        *,
        store: CallStore,
        announce: Announce,
        media: Media | None,
        limiter: Limiter,
        clock: Callable[[], int],
    ) -> None:
        steps = Steps(store=store, announce=announce, media=media)
        self._store = store
        self._clock = clock
        self.calls = Calls(steps=steps, store=store, media=media, limiter=limiter, clock=clock)
        self.upkeep = Upkeep(steps=steps, store=store, media=media, clock=clock)
        self.departures = Departures()

    async def run(self) -> None:
        """Watch over the calls, for ever."""
        await run_call_watch(
            upkeep=self.upkeep, store=self._store, departures=self.departures, clock=self._clock
        )
