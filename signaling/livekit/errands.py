"""Work on LiveKit that nobody waits for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Any, Final

import structlog
import trio

from signaling.livekit.twirp import TwirpError

WAITING: Final = 10_000
WORKERS: Final = 8

log = structlog.get_logger(__name__)


class Errands:
    """A queue of errands, a few done at a time.

    It holds each errand once and at most ``WAITING`` of them; one more is dropped, as one that fails is: each of them only
    brings LiveKit in line with the calls sooner than the reconciler's next round would.
    """

    def __init__(self) -> None:
        self._put, self._take = trio.open_memory_channel[tuple[Hashable, Callable[[], Awaitable[None]]]](
            WAITING
        )
        self._waiting: set[Hashable] = set()
        self._done = self._failed = self._dropped = 0

    def put(self, key: Hashable, work: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Have ``await work(*args)`` done soon, unless an errand of this key waits already."""
        if key in self._waiting:
            return
        try:
            self._put.send_nowait((key, partial(work, *args)))
        except trio.WouldBlock:
            self._dropped += 1
        else:
            self._waiting.add(key)

    async def run(self) -> None:
        """Do errands, for ever."""
        async with trio.open_nursery() as nursery:
            for _ in range(WORKERS):
                nursery.start_soon(self._work)

    async def _work(self) -> None:
        async for key, work in self._take:
            # Before it begins: what changes from now on is for another errand.
            self._waiting.discard(key)
            await self.attempt(work)

    async def attempt(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do one thing now. Never raises but ``Cancelled``."""
        try:
            await work()
        except TwirpError:
            self._failed += 1
        except Exception:
            # One errand's bug must not end the others.
            self._failed += 1
            log.exception("errand to LiveKit ended by an unexpected error")
        else:
            self._done += 1

    def statistics(self) -> dict[str, int]:
        return {
            "waiting": len(self._waiting),
            "done": self._done,
            "failed": self._failed,
            "dropped": self._dropped,
        }
