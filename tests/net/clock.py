"""Tests in which hours pass in no time."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock


class _Threads(trio.abc.Instrument):
    """Stops the clock from jumping while a thread works, whose time is real."""

    def __init__(self, clock: MockClock) -> None:
        self._clock = clock
        self._working = False

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        working = trio.to_thread.current_default_thread_limiter().borrowed_tokens > 0
        if working is not self._working:
            self._working = working
            self._clock.autojump_threshold = math.inf if working else 0


def _run(
    test: Callable[[], Coroutine[Any, Any, None]],
    *,
    clock: trio.abc.Clock | None,
    instruments: Sequence[trio.abc.Instrument],
) -> None:
    if clock is not None:
        trio.run(test, clock=clock, instruments=instruments)
        return
    jumping = MockClock(autojump_threshold=0)
    trio.run(test, clock=jumping, instruments=[*instruments, _Threads(jumping)])


def let_time_jump(items: Iterable[pytest.Item], folder: Path) -> None:
    """Run the Trio tests below ``folder`` on a clock that jumps whenever nothing else can happen.

    (pytest-trio's fixture ``autojump_clock`` works only for tests that name it themselves.)
    """
    for item in items:
        if item.path.is_relative_to(folder) and item.get_closest_marker("trio") is not None:
            item.add_marker(pytest.mark.trio(run=_run), append=False)
