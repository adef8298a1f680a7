"""Tests in which hours pass in no time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock


def _run(
    test: Callable[[], Coroutine[Any, Any, None]],
    *,
    clock: trio.abc.Clock | None,
    instruments: Sequence[trio.abc.Instrument],
) -> None:
    trio.run(test, clock=clock or MockClock(autojump_threshold=0), instruments=instruments)


def let_time_jump(items: Iterable[pytest.Item], folder: Path) -> None:
    """Run the Trio tests below ``folder`` on a clock that jumps whenever nothing else can happen.

    (pytest-trio's fixture ``autojump_clock`` works only for tests that name it themselves.)
    """
    for item in items:
        if item.path.is_relative_to(folder) and item.get_closest_marker("trio") is not None:
            item.add_marker(pytest.mark.trio(run=_run), append=False)
