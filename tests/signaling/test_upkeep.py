"""What the media server reports, which is late, doubled and out of order as often as not."""

from __future__ import annotations

import pytest

from signaling.call import Call, Status
from signaling.calls import Who
from signaling.ports import Policy
from signaling.switchboard import Switchboard
from tests.signaling.memory import Clock, FakeMedia, MemoryCalls, Recorder, Unlimited, standings

POLICY = Policy()


class House:
    def __init__(self) -> None:
        self.store = MemoryCalls()
        self.store.rooms["t", "team"] = ["ann", "bob", "cid"]
        self.media = FakeMedia()
        self.recorder = Recorder()
        self.clock = Clock()
        self.board = Switchboard(
            store=self.store,
            announce=self.recorder,
            media=self.media,
            limiter=Unlimited(),
            clock=self.clock,
        )
        self.upkeep = self.board.upkeep

    async def call(self, *joining: str) -> Call:
        call = (await self.board.calls.start(Who("t", "ann", "a"), "team", type=None, policy=POLICY)).call
        for user_id in joining:
            self.clock.ms += 1_000
            await self.board.calls.accept(Who("t", user_id, user_id), "team", call.id, policy=POLICY)
        self.recorder.take()
        return call

    def now(self, call: Call) -> Call:
        return self.store.calls[call.id]


@pytest.fixture
def house() -> House:
    return House()


async def test_a_ringing_call_is_not_ended_for_its_empty_media_room(house: House) -> None:
    call = await house.call()
    await house.upkeep.media_finished(call.media_room)
    await house.upkeep.media_left(call.media_room, "ann")
    assert house.now(call) == call
    assert house.recorder.take() == []


async def test_who_has_vanished_from_the_media_has_left_and_the_others_go_on(house: House) -> None:
    call = await house.call("bob", "cid")
    for _ in range(2):
        await house.upkeep.media_left(call.media_room, "bob")
    assert house.now(call).joined == {"ann", "cid"}
    assert house.recorder.take() == []
    await house.upkeep.media_left(call.media_room, "cid")
    assert house.now(call).end_reason == "left"
    assert len(house.store.logged) == 1


async def test_a_media_room_that_is_gone_ends_the_active_call_once(house: House) -> None:
    call = await house.call("bob")
    for _ in range(2):
        await house.upkeep.media_finished(call.media_room)
    assert house.now(call).status is Status.ENDED
    assert len(house.store.logged) == 1


async def test_who_is_in_the_media_and_not_in_the_call_is_sent_away(house: House) -> None:
    call = await house.call("bob")
    for user_id in ("ann", "bob"):
        await house.upkeep.media_joined(call.media_room, user_id)
    assert house.media.removed == []
    for user_id in ("cid", "stranger"):
        await house.upkeep.media_joined(call.media_room, user_id)
    assert house.media.removed == [(call.media_room, "cid"), (call.media_room, "stranger")]
    await house.board.calls.leave(Who("t", "ann", "a"), "team", call.id, policy=POLICY)
    await house.upkeep.media_joined(call.media_room, "bob")  # with the token that he still has
    assert house.media.removed[-1] == (call.media_room, "bob")


@pytest.mark.parametrize("name", ["", "fc", "fc_t_team_", "fc_other_team_{id}", "{id}"])
async def test_a_media_room_of_another_name_is_nobody_s(house: House, name: str) -> None:
    call = await house.call("bob")
    name = name.format(id=call.id)
    await house.upkeep.media_finished(name)
    await house.upkeep.media_left(name, "bob")
    assert house.now(call).joined == {"ann", "bob"}


async def test_who_talks_again_after_he_vanished_is_counted_again(house: House) -> None:
    call = await house.call("bob", "cid")
    await house.upkeep.media_left(call.media_room, "bob")
    house.clock.ms += 1_000
    await house.board.calls.token(Who("t", "bob", "bob"), "team", call.id, policy=POLICY)
    again = house.now(call).party("bob")
    assert again is not None
    assert (again.standing, again.joined_at) == ("joined", house.clock.ms)
    assert house.recorder.take() == []  # to come back is nobody's news


async def test_without_a_media_server_what_rings_still_ends(house: House) -> None:
    call = await house.call()
    without = Switchboard(
        store=house.store, announce=house.recorder, media=None, limiter=Unlimited(), clock=house.clock
    )
    house.clock.ms += 45_000
    await without.upkeep.ring_out(call)
    assert house.now(call).status is Status.MISSED
    assert standings(house.now(call)) == {"ann": "left", "bob": "missed", "cid": "missed"}
