"""What happens between a look at the room and the step in it, and between the media server and both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from signaling.call import Call, Status
from signaling.calls import Calls, Who
from signaling.errors import CallError, MediaUnavailable
from signaling.ports import Policy, Room
from signaling.switchboard import Switchboard
from tests.signaling.memory import Clock, FakeMedia, MemoryCalls, Recorder, Unlimited

ANN, BOB = Who("t", "ann", "ann-phone"), Who("t", "bob", "bob-phone")
POLICY = Policy()


class Overtaken(MemoryCalls):
    """A store in which something happens right after a look.

    Attributes:
        meanwhile: what; once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], Any] | None = None

    async def room_and_call(
        self, tenant_id: str, room_id: str, call_id: str | None = None
    ) -> tuple[Call | None, Room]:
        found = await super().room_and_call(tenant_id, room_id, call_id)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return found


class House:
    def __init__(self) -> None:
        self.store = Overtaken()
        self.store.rooms["t", "dm"] = ["ann", "bob"]
        self.media = FakeMedia()
        self.recorder = Recorder()
        self.calls: Calls = Switchboard(
            store=self.store,
            announce=self.recorder,
            media=self.media,
            limiter=Unlimited(),
            clock=Clock(),
        ).calls

    async def start(self, who: Who) -> Call:
        return (await self.calls.start(who, "dm", type=None, policy=POLICY)).call

    def media_rooms(self) -> list[str]:
        return sorted(self.media.rooms)


@pytest.fixture
def house() -> House:
    return House()


async def test_who_is_overtaken_by_the_other_s_start_joins_it_and_leaves_no_media_room_behind(
    house: House,
) -> None:
    house.store.meanwhile = lambda: house.start(BOB)
    call = await house.start(ANN)
    assert (call.created_by, call.status, call.joined) == ("bob", Status.ACTIVE, frozenset(("ann", "bob")))
    assert house.media_rooms() == [call.media_room]


async def test_who_wanted_to_join_a_call_that_has_just_ended_starts_one_with_a_media_room(
    house: House,
) -> None:
    first = await house.start(BOB)
    house.store.meanwhile = lambda: house.calls.leave(BOB, "dm", first.id, policy=POLICY)
    call = await house.start(ANN)
    assert (call.created_by, call.status) == ("ann", Status.RINGING)
    assert call.media_room in house.media_rooms()


async def test_a_start_that_is_refused_at_the_last_moment_leaves_no_media_room_behind(house: House) -> None:
    async def freeze() -> None:
        house.store.frozen.add("dm")

    house.store.meanwhile = freeze
    with pytest.raises(CallError) as refused:
        await house.start(ANN)
    assert refused.value.code == "room_frozen"
    assert house.media_rooms() == []
    assert house.recorder.take() == []


async def test_a_start_whose_client_goes_away_may_have_begun_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_call = house.store.change_call

    async def written_but_not_waited_for(*args: Any, **options: Any) -> Any:
        await change_call(*args, **options)
        await trio.sleep_forever()

    monkeypatch.setattr(house.store, "change_call", written_but_not_waited_for)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(house.start, ANN)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    (call,) = house.store.calls.values()
    assert call.status is Status.RINGING
    assert house.media_rooms() == [call.media_room]


async def test_an_answer_that_finds_no_media_server_is_not_lost(house: House) -> None:
    call = await house.start(ANN)
    house.media.away = True
    with pytest.raises(MediaUnavailable):
        await house.calls.accept(BOB, "dm", call.id, policy=POLICY)
    assert house.store.calls[call.id] == call
    house.media.away = False
    assert (await house.calls.accept(BOB, "dm", call.id, policy=POLICY)).call.status is Status.ACTIVE


async def test_the_media_room_is_there_for_whoever_joins_even_if_the_media_server_has_lost_it(
    house: House,
) -> None:
    call = await house.start(ANN)
    house.media.rooms.clear()
    await house.calls.accept(BOB, "dm", call.id, policy=POLICY)
    assert house.media_rooms() == [call.media_room]
    house.media.rooms.clear()
    await house.calls.token(ANN, "dm", call.id, policy=POLICY)
    assert house.media_rooms() == [call.media_room]


async def test_no_media_room_is_made_for_who_may_not_join(house: House) -> None:
    call = await house.start(ANN)
    house.media.rooms.clear()
    for who in (Who("t", "eve", "e"), Who("other", "bob", "b")):
        with pytest.raises(CallError):
            await house.calls.accept(who, "dm", call.id, policy=POLICY)
        with pytest.raises(CallError):
            await house.calls.start(who, "dm", type=None, policy=POLICY)
    assert house.media_rooms() == []


async def test_without_a_media_server_nothing_begins_and_what_was_is_still_read() -> None:
    house = House()
    call = await house.start(ANN)
    calls = Switchboard(
        store=house.store, announce=house.recorder, media=None, limiter=Unlimited(), clock=Clock()
    ).calls
    for ask in (calls.accept, calls.token, calls.decline, calls.leave):
        with pytest.raises(MediaUnavailable, match="no LiveKit configured"):
            await ask(BOB, "dm", call.id, policy=POLICY)
    with pytest.raises(MediaUnavailable):
        await calls.start(BOB, "dm", type=None, policy=POLICY)
    assert await calls.active("t", "dm", "bob") == call
    assert (await calls.page("t", "dm", viewer_id="bob", limit=5, cursor=None))[0] == [call]
