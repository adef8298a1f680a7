"""How much is written before the loop has its turn: more and more, but little while something is under way that may join."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import trio
import trio.testing

from gateway.net.writing import MOMENT_S, MOST, STEP, Writing
from tests.net.fakes import settle


class Rest:
    """What else is under way: asked about after each step, and so sees how much has been written by then."""

    def __init__(self) -> None:
        self.under_way = False
        self.written = 0
        self._looks = [0]

    def is_under_way(self) -> bool:
        self._looks.append(self.written)
        return self.under_way

    def steps(self) -> list[int]:
        """How many were written each time."""
        looks = [*self._looks, self.written]
        self._looks = [self.written]
        return [after - before for before, after in pairwise(looks) if after > before]


class Page:
    """A link that is written."""

    def __init__(self, rest: Rest, then: Callable[[], None] = lambda: None) -> None:
        self._rest = rest
        self._then = then

    def flush(self) -> None:
        self._rest.written += 1
        self._then()


async def write(writing: Writing, *pages: Any) -> None:
    for page in pages:
        writing.mark(page)
    await settle()


@pytest.fixture
def rest() -> Rest:
    return Rest()


@pytest.fixture
async def writing(nursery: trio.Nursery, rest: Rest) -> Writing:
    writing = Writing(None, rest.is_under_way)
    nursery.start_soon(writing.run)
    await settle()
    return writing


async def test_after_a_small_step_they_are_large_up_to_a_bound(writing: Writing, rest: Rest) -> None:
    await write(writing, *[Page(rest)] * (STEP + 3 * MOST + 1))
    assert rest.steps() == [STEP, MOST, MOST, MOST, 1]


async def test_while_more_is_under_way_they_stay_small(writing: Writing, rest: Rest) -> None:
    rest.under_way = True
    await write(writing, *[Page(rest)] * (4 * STEP))
    assert rest.steps() == [STEP] * 4


async def test_when_more_is_put_meanwhile_they_are_small_again(writing: Writing, rest: Rest) -> None:
    late: Any = Page(rest)
    last_of_the_second = Page(rest, then=lambda: writing.mark(late))
    pages = [Page(rest)] * (STEP + MOST + 2 * STEP)
    pages[STEP + MOST - 1] = last_of_the_second
    await write(writing, *pages)
    assert rest.steps() == [STEP, MOST, STEP, STEP, 1]


async def test_each_crowd_begins_with_a_small_one(writing: Writing, rest: Rest) -> None:
    await write(writing, *[Page(rest)] * 1_000)
    rest.steps()
    await write(writing, *[Page(rest)] * 1_000)
    assert rest.steps()[0] == STEP


@pytest.mark.parametrize(("links", "waits"), [(MOST, False), (MOST + 1, True)])
async def test_a_crowd_waits_a_moment_for_what_may_join(
    writing: Writing, rest: Rest, mock_clock: trio.testing.MockClock, links: int, waits: bool
) -> None:
    rest.under_way = True
    await write(writing, *[Page(rest)] * links)
    assert rest.written == (0 if waits else links)
    mock_clock.jump(MOMENT_S)
    await settle()
    assert rest.written == links


async def test_a_crowd_that_nothing_may_join_is_written_at_once(
    writing: Writing, rest: Rest, mock_clock: trio.testing.MockClock
) -> None:
    await write(writing, *[Page(rest)] * (MOST + 1))
    assert rest.written == MOST + 1


async def test_what_is_marked_while_it_is_held_is_written_at_once_when_it_goes_on(
    writing: Writing, rest: Rest
) -> None:
    writing.hold()
    await write(writing, *[Page(rest)] * (STEP + 1))
    assert rest.steps() == []
    writing.go_on()
    assert rest.steps() == [STEP]
    await settle()  # and the task has been told of the rest
    assert rest.steps() == [1]


def test_in_a_hurry_a_few_are_written_at_once(rest: Rest) -> None:
    writing = Writing(None, rest.is_under_way)
    for _ in range(MOST):
        writing.mark(Page(rest))  # type: ignore[arg-type]
    writing.hurry()
    assert rest.written == MOST


def test_a_crowd_is_not_hurried_nor_what_comes_behind_one(rest: Rest) -> None:
    writing = Writing(None, rest.is_under_way)
    for _ in range(MOST + 1):
        writing.mark(Page(rest))  # type: ignore[arg-type]
    writing.hurry()
    assert rest.written == 0
    writing.hold()
    writing.go_on()
    begun = rest.written
    writing.mark(Page(rest))  # type: ignore[arg-type]
    writing.hurry()
    assert rest.written == begun
