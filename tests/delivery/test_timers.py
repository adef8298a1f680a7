"""The timer wheel: when timers fire, when they do not, and what it keeps."""

from __future__ import annotations

import gc
import math
import weakref
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from gateway.delivery.timers import HORIZON_S, RESOLUTION_S, Timer, Wheel

ROUNDING_S = 1e-9


@pytest.fixture
async def wheel(nursery: trio.Nursery) -> Wheel:
    wheel = Wheel()
    nursery.start_soon(wheel.run)
    return wheel


class Alarm:
    """A timer's callback that notes when it was called."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def __call__(self) -> None:
        self.at.append(trio.current_time())

    def rang_once_by(self, deadline: float) -> bool:
        return len(self.at) == 1 and deadline <= self.at[0] <= deadline + RESOLUTION_S + ROUNDING_S


async def test_it_fires_at_its_time_not_before_and_at_most_a_bucket_late(wheel: Wheel) -> None:
    alarms = {deadline: Alarm() for deadline in (0.0, 0.001, 0.01, 0.07, 0.29, 1.0, 1.005, 59.999, 61, 200)}
    for deadline, alarm in alarms.items():
        wheel.at(deadline, alarm)
    await trio.sleep(300)
    for deadline, alarm in alarms.items():
        assert alarm.rang_once_by(deadline), (deadline, alarm.at)


async def test_one_whose_time_has_passed_fires_at_once(wheel: Wheel) -> None:
    await trio.sleep(10)
    alarm = Alarm()
    wheel.at(3, alarm)
    wheel.after(-1, alarm)
    await trio.sleep(RESOLUTION_S)
    assert len(alarm.at) == 2


async def test_arguments_are_handed_on(wheel: Wheel) -> None:
    got: list[Any] = []
    wheel.after(1, lambda *args: got.append(args), "a", 2)
    await trio.sleep(2)
    assert got == [("a", 2)]


async def test_one_that_is_moved_later_fires_only_then(wheel: Wheel) -> None:
    alarm = Alarm()
    timer = wheel.after(1, alarm)
    for _ in range(20):
        await trio.sleep(0.9)
        wheel.move(timer, trio.current_time() + 1)
    await trio.sleep(5)
    assert alarm.rang_once_by(19)


async def test_one_that_is_moved_earlier_fires_then(wheel: Wheel) -> None:
    alarm = Alarm()
    timer = wheel.after(50, alarm)
    await trio.sleep(1)
    wheel.move(timer, 2)
    await trio.sleep(100)
    assert alarm.rang_once_by(2)


async def test_one_moved_to_and_fro_fires_once(wheel: Wheel) -> None:
    alarm = Alarm()
    timer = wheel.at(10, alarm)
    for deadline in (5, 20, 3, 10, 4, 10, 10.001):
        wheel.move(timer, deadline)
    await trio.sleep(50)
    assert alarm.rang_once_by(10.001)


async def test_one_that_has_fired_may_be_set_again(wheel: Wheel) -> None:
    alarm = Alarm()
    timer = wheel.at(1, alarm)
    await trio.sleep(2)
    wheel.move(timer, 5)
    await trio.sleep(10)
    assert [round(at) for at in alarm.at] == [1, 5]


async def test_one_that_sets_itself_again_beats(wheel: Wheel) -> None:
    beats: list[float] = []

    def beat() -> None:
        beats.append(trio.current_time())
        wheel.move(timer, timer.deadline + 0.25)

    timer = wheel.after(0.25, beat)
    await trio.sleep(10.1)
    assert len(beats) == 40


async def test_one_that_is_paused_waits_until_it_is_moved(wheel: Wheel) -> None:
    alarm = Alarm()
    timer = wheel.at(math.inf, alarm)
    await trio.sleep(500)
    wheel.move(timer, 501)
    timer.deadline = math.inf
    await trio.sleep(500)
    assert alarm.at == []
    wheel.move(timer, 1_001)
    await trio.sleep(10)
    assert alarm.rang_once_by(1_001)


async def test_one_that_is_cancelled_never_fires(wheel: Wheel) -> None:
    alarm = Alarm()
    timer = wheel.after(1, alarm)
    timer.cancel()
    timer.cancel()
    await trio.sleep(100)
    assert alarm.at == []


async def test_one_may_cancel_another_of_the_same_moment(wheel: Wheel) -> None:
    alarm = Alarm()
    timers: list[Timer] = []
    timers.append(wheel.at(1, lambda: timers[1].cancel()))
    timers.append(wheel.at(1, alarm))
    await trio.sleep(2)
    assert alarm.at == []


async def test_one_that_raises_stops_no_other(wheel: Wheel) -> None:
    def broken() -> None:
        raise RuntimeError("timer")

    alarms = [Alarm(), Alarm(), Alarm()]
    wheel.at(1, alarms[0])
    wheel.at(1, broken)
    wheel.at(1, alarms[1])
    wheel.at(2, alarms[2])
    await trio.sleep(3)
    assert [len(alarm.at) for alarm in alarms] == [1, 1, 1]


async def test_a_new_one_that_is_due_first_is_not_waited_past(wheel: Wheel) -> None:
    late, early = Alarm(), Alarm()
    wheel.after(10, late)
    await trio.sleep(1)
    wheel.after(1, early)
    await trio.sleep(20)
    assert early.rang_once_by(2)
    assert late.rang_once_by(10)


async def test_cancelling_lets_go_of_what_the_callback_holds_and_is_handed(wheel: Wheel) -> None:
    class Thing:
        def ring(self) -> None: ...

    held, handed = Thing(), Thing()
    gone = weakref.ref(held), weakref.ref(handed)
    timers = wheel.after(86_400, held.ring), wheel.after(86_400, Thing.ring, handed)
    for timer in timers:
        timer.cancel()
    del held, handed
    gc.collect()
    assert [thing() for thing in gone] == [None, None]


async def test_what_is_cancelled_is_forgotten_within_the_horizon(wheel: Wheel) -> None:
    for day in range(50):
        wheel.after(86_400 * (day + 1), Alarm()).cancel()
    await trio.sleep(HORIZON_S + 1)
    assert wheel.statistics()["buckets"] == 0


async def test_most_of_what_is_cancelled_is_forgotten_at_once(wheel: Wheel) -> None:
    alarm = Alarm()
    timers = [wheel.at(50, alarm) for _ in range(1_000)]
    for timer in timers[:-1]:
        timer.cancel()
    assert sum(len(bucket) for bucket in wheel._buckets.values()) < 4
    await trio.sleep(60)
    assert alarm.rang_once_by(50)


async def test_what_is_far_off_fires_at_its_time_all_the_same(wheel: Wheel) -> None:
    alarm = Alarm()
    wheel.after(86_400, alarm)
    await trio.sleep(86_000)
    assert alarm.at == []
    await trio.sleep(1_000)
    assert alarm.rang_once_by(86_400)


moments = st.one_of(
    st.integers(0, 1_000).map(lambda n: n * RESOLUTION_S),  # on the edge of a bucket
    st.integers(0, 1_000).map(lambda n: math.nextafter(n * RESOLUTION_S, math.inf)),
    st.integers(0, 1_000).map(lambda n: math.nextafter(n * RESOLUTION_S, -math.inf)),
    st.floats(0, 10),
    st.floats(0, 200),
)
steps = st.one_of(
    st.tuples(st.just("at"), moments),
    st.tuples(st.just("move"), st.integers(0, 7), moments),
    st.tuples(st.just("cancel"), st.integers(0, 7)),
    st.tuples(st.just("sleep"), moments.map(abs)),
)


@given(st.lists(steps, max_size=40))
def test_in_any_history_every_timer_fires_once_and_in_time(history: list[Any]) -> None:
    async def scenario() -> None:
        wheel = Wheel()
        timers: list[Timer] = []
        due: dict[int, float] = {}  # by the timer's number: when it must fire, at the earliest

        def ring(number: int) -> None:
            rang.append((due.pop(number, None), trio.current_time()))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wheel.run)
            cancelled: set[int] = set()
            for step in history:
                now = trio.current_time()
                if step[0] == "at":
                    due[len(timers)] = max(step[1], now)
                    timers.append(wheel.at(step[1], ring, len(timers)))
                elif step[0] == "sleep":
                    await trio.sleep(step[1])
                elif step[1] < len(timers) and step[1] not in cancelled:
                    if step[0] == "move":
                        due[step[1]] = max(step[2], now)
                        wheel.move(timers[step[1]], step[2])
                    else:
                        cancelled.add(step[1])
                        due.pop(step[1], None)
                        timers[step[1]].cancel()
            await trio.sleep(300)
            nursery.cancel_scope.cancel()
        assert due == {}

    rang: list[tuple[float | None, float]] = []
    trio.run(scenario, clock=MockClock(autojump_threshold=0))
    for deadline, now in rang:
        assert deadline is not None, "it rang twice, or after it was cancelled"
        assert deadline <= now <= deadline + RESOLUTION_S + ROUNDING_S
