"""A thread for what waits: a disk, a lock, a database somewhere else."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

import trio

T = TypeVar("T")


class Courier:
    """Does one piece of work at a time in its thread, and reports on the event loop.

    Until it has reported, what the work touches is the thread's alone. Make it, and close it, on the event
    loop.
    """

    def __init__(self, name: str) -> None:
        self._token = trio.lowlevel.current_trio_token()
        # Unbounded, and never holds more than one entry: the next is put when the last has reported.
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        # A daemon, so that a disk that never answers does not keep the process from ending.
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Callable[[], T], done: Callable[[T], None]) -> None:
        """Do ``work``, which must not raise, and call ``done`` with what it returned."""

        def errand() -> None:
            result = work()
            try:
                self._token.run_sync_soon(done, result)
            except trio.RunFinishedError:
                return  # the loop ended without closing the store: nobody is left to be told

        self._waiting.put(errand)

    def close(self) -> None:
        """End the thread, which must have reported."""
        self._waiting.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (errand := self._waiting.get()) is not None:
            errand()
