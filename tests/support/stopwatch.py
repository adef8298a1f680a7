"""How long something took, less what the machine let its processes wait for a core: on a busy one that is most of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


class Stopwatch:
    """Runs from when it is made, for this process and all that it has started, as far as they live.

    A moment in which several of their threads wait for a core is taken off for each: a busy machine makes this too little
    rather than too much, and an idle one changes nothing.
    """

    def __init__(self) -> None:
        self._waited_s = dict(_waits_s())
        self._began = time.monotonic()

    def seconds(self) -> float:
        took_s = time.monotonic() - self._began
        return took_s - sum(waited - self._waited_s.get(thread, 0.0) for thread, waited in _waits_s())


def _waits_s() -> Iterator[tuple[str, float]]:
    """How long each thread has stood ready so far and was not run."""
    pids = [os.getpid()]
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").glob("*"):
            with suppress(OSError):
                _, waited_ns, _ = (thread / "schedstat").read_text().split()
                yield thread.name, int(waited_ns) / 1e9
                pids += map(int, (thread / "children").read_text().split())
