"""The watch: rings that end in time whatever happens to the processes, and people who left a room."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from signaling.call import Status
from signaling.calls import Who
from signaling.ports import Policy
from signaling.ringing import AT_ONCE, LOOK_S, ROOMS, SWEEP_S, Departures
from signaling.switchboard import Switchboard
from tests.signaling.memory import FakeMedia, MemoryCalls, Recorder, Unlimited, standings

POLICY = Policy(ring_s=30)
EPOCH_MS = 1_800_000_000_000


def wall_clock() -> int:
    """Milliseconds that go with trio's clock, which jumps when nobody has anything to do."""
    return EPOCH_MS + round(trio.current_time() * 1000)


class House:
    """One store, and as many nodes on it as are asked for."""

    def __init__(self) -> None:
        self.store = MemoryCalls()
        self.store.rooms["t", "dm"] = ["ann", "bob"]
        self.store.rooms["t", "team"] = ["ann", "bob", "cid"]
        self.media = FakeMedia()
        self.recorder = Recorder()

    def node(self) -> Switchboard:
        return Switchboard(
            store=self.store, announce=self.recorder, media=self.media, limiter=Unlimited(), clock=wall_clock
        )

    async def start(self, node: Switchboard, room_id: str = "dm", user_id: str = "ann") -> str:
        changed = await node.calls.start(Who("t", user_id, "phone"), room_id, type=None, policy=POLICY)
        return changed.call.id

    def status(self, call_id: str) -> Status:
        return self.store.calls[call_id].status


@pytest.fixture
def house() -> House:
    return House()


async def test_a_call_that_nobody_answers_is_missed_when_its_time_is_up(
    house: House, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    node = house.node()
    nursery.start_soon(node.run)
    call_id = await house.start(node)
    await trio.sleep(29.9)
    assert house.status(call_id) is Status.RINGING
    await trio.sleep(0.1 + LOOK_S + 0.01)
    assert house.status(call_id) is Status.MISSED
    ended = [told for told in house.recorder.take() if told.event == "call-ended"]
    assert {(told.user_id, told.payload["reason"]) for told in ended} == {
        ("ann", "no_answer"),
        ("bob", "no_answer"),
    }
    assert len(house.store.logged) == 1


async def test_a_group_that_talks_goes_on_without_who_did_not_answer(
    house: House, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    node = house.node()
    nursery.start_soon(node.run)
    call_id = await house.start(node, "team")
    await node.calls.accept(Who("t", "bob", "b"), "team", call_id, policy=POLICY)
    house.recorder.take()
    await trio.sleep(30 + LOOK_S + 0.01)
    assert house.status(call_id) is Status.ACTIVE
    assert standings(house.store.calls[call_id])["cid"] == "missed"
    assert [(told.user_id, told.event) for told in house.recorder.take()] == [("cid", "call-ended")]


async def test_a_ring_whose_process_was_killed_is_missed_on_time_by_the_next(
    house: House, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    first = house.node()
    async with trio.open_nursery() as process:
        process.start_soon(first.run)
        call_id = await house.start(first)
        await trio.sleep(5)
        process.cancel_scope.cancel()
    await trio.sleep(10)
    nursery.start_soon(house.node().run)
    await trio.sleep(15 + LOOK_S + 0.01)
    assert house.status(call_id) is Status.MISSED


async def test_a_ring_that_was_due_while_nobody_ran_is_missed_at_once(
    house: House, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    call_id = await house.start(house.node())
    await trio.sleep(3_600)
    nursery.start_soon(house.node().run)
    await trio.testing.wait_all_tasks_blocked()
    assert house.status(call_id) is Status.MISSED


async def test_several_nodes_end_a_ring_once(
    house: House, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    nodes = [house.node() for _ in range(3)]
    for node in nodes:
        nursery.start_soon(node.run)
    await house.start(nodes[0])
    await trio.sleep(60)
    assert len(house.store.logged) == 1
    assert len([told for told in house.recorder.take() if told.event == "call-ended"]) == 2


async def test_rings_that_are_due_together_all_end_however_many_they_are(
    house: House, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    node = house.node()
    for number in range(2 * AT_ONCE + 1):
        house.store.rooms["t", f"room-{number}"] = ["ann", "bob"]
        await house.start(node, f"room-{number}")
    nursery.start_soon(node.run)
    await trio.sleep(30 + LOOK_S + 0.01)
    assert {call.status for call in house.store.calls.values()} == {Status.MISSED}


async def test_who_leaves_the_room_is_out_of_its_call_at_once(
    house: House, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    node = house.node()
    nursery.start_soon(node.run)
    call_id = await house.start(node, "team")
    await node.calls.accept(Who("t", "bob", "b"), "team", call_id, policy=POLICY)
    await node.calls.accept(Who("t", "cid", "c"), "team", call_id, policy=POLICY)
    await trio.testing.wait_all_tasks_blocked()
    house.recorder.take()
    house.store.rooms["t", "team"].remove("bob")
    node.departures.left("team")
    await trio.testing.wait_all_tasks_blocked()
    assert house.store.calls[call_id].joined == {"ann", "cid"}
    assert house.media.removed == [(f"fc_t_team_{call_id}", "bob")]
    assert [(told.user_id, told.event) for told in house.recorder.take()] == [("bob", "call-ended")]


async def test_the_creator_who_is_removed_while_it_rings_takes_the_call_along(
    house: House, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    node = house.node()
    nursery.start_soon(node.run)
    call_id = await house.start(node, "team")
    house.recorder.take()
    house.store.rooms["t", "team"].remove("ann")
    node.departures.left("team")
    await trio.testing.wait_all_tasks_blocked()
    assert house.status(call_id) is Status.CANCELLED
    ended = {told.user_id for told in house.recorder.take() if told.event == "call-ended"}
    assert ended == {"ann", "bob", "cid"}


async def test_a_departure_whose_process_was_killed_is_found_by_the_sweep(
    house: House, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    nursery.start_soon(house.node().run)
    dead = house.node()
    call_id = await house.start(dead, "team")
    for user_id in ("bob", "cid"):
        await dead.calls.accept(Who("t", user_id, user_id), "team", call_id, policy=POLICY)
    await trio.sleep(1)
    house.store.rooms["t", "team"].remove("cid")
    await trio.sleep(SWEEP_S + LOOK_S)
    assert house.store.calls[call_id].joined == {"ann", "bob"}


async def test_more_departures_than_are_remembered_are_found_all_the_same(house: House) -> None:
    departures = Departures()
    for number in range(ROOMS + 5):
        departures.left(f"room-{number}")
    assert len(departures.take()) == ROOMS
    assert departures.take() == set()


async def test_a_store_that_fails_for_a_while_does_not_end_the_watch(
    house: House,
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = house.node()
    call_id = await house.start(node)
    due_calls = house.store.due_calls

    async def fails(now: int, *, limit: int) -> Any:
        if trio.current_time() < 100:
            raise OSError("the disk is gone")
        return await due_calls(now, limit=limit)

    monkeypatch.setattr(house.store, "due_calls", fails)
    nursery.start_soon(node.run)
    await trio.sleep(99)
    assert house.status(call_id) is Status.RINGING
    await trio.sleep(4)
    assert house.status(call_id) is Status.MISSED


async def test_a_room_that_cannot_be_looked_at_keeps_no_ring_from_ending(
    house: House,
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = house.node()
    call_id = await house.start(node)

    async def fails(*, room_id: str | None, limit: int) -> Any:
        raise OSError("nothing can be read of who has left")

    monkeypatch.setattr(house.store, "call_strays", fails)
    nursery.start_soon(node.run)
    await trio.sleep(POLICY.ring_s + 2 * LOOK_S)
    assert house.status(call_id) is Status.MISSED
