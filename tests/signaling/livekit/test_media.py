"""Rooms on LiveKit: made, closed and emptied once however often it is asked, or said plainly that they cannot be."""

from __future__ import annotations

import httpx2
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from signaling.errors import MediaUnavailable
from signaling.livekit.media import LiveKit
from signaling.livekit.twirp import TRIES, TwirpError
from tests.signaling.livekit.world import SETTINGS, World
from tests.support.livekit_fake import FakeLiveKit, InProcess


class TestOpening:
    async def test_a_room_is_there_and_takes_as_many_as_it_should(self, world: World) -> None:
        await world.livekit.open_room("fc_1", max_participants=2)
        assert world.fake.rooms["fc_1"].max_participants == 2

    async def test_opening_it_again_changes_nothing(self, world: World) -> None:
        await world.livekit.open_room("fc_1", max_participants=2)
        world.fake.join(world.token("fc_1", "ann"))
        await world.livekit.open_room("fc_1", max_participants=8)
        assert world.present("fc_1") == {"ann"}
        assert world.fake.rooms["fc_1"].max_participants == 2

    async def test_a_passing_fault_is_tried_again_under_the_same_id(
        self, world: World, autojump_clock: MockClock
    ) -> None:
        await trio.testing.wait_all_tasks_blocked()
        world.fake.asked.clear()
        world.fake.failing = TRIES - 1
        await world.livekit.open_room("fc_1", max_participants=2)
        assert [method for method, _ in world.fake.asked] == ["CreateRoom"] * TRIES
        assert len({request_id for _, request_id in world.fake.asked}) == 1

    async def test_two_wishes_have_two_ids(self, world: World) -> None:
        await trio.testing.wait_all_tasks_blocked()
        world.fake.asked.clear()
        await world.livekit.open_room("fc_1", max_participants=2)
        await world.livekit.open_room("fc_1", max_participants=2)
        assert len({request_id for _, request_id in world.fake.asked}) == 2

    async def test_a_livekit_that_is_away_is_said_to_be_within_a_second(
        self, world: World, autojump_clock: MockClock
    ) -> None:
        world.fake.away = True
        with trio.fail_after(1), pytest.raises(MediaUnavailable):
            await world.livekit.open_room("fc_1", max_participants=2)

    async def test_a_livekit_that_never_answers_is_waited_for_no_longer_than_the_deadline(
        self, autojump_clock: MockClock
    ) -> None:
        class Silent(httpx2.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
                await trio.sleep(60)
                raise AssertionError("nobody waits so long")

        livekit = LiveKit(SETTINGS, transport=Silent())
        with trio.fail_after(6), pytest.raises(MediaUnavailable):
            await livekit.open_room("fc_1", max_participants=2)

    async def test_a_wrong_secret_is_not_tried_again_and_no_token_is_told(self) -> None:
        fake = FakeLiveKit(secret="another secret of thirty-two bytes")
        livekit = LiveKit(SETTINGS, transport=InProcess(fake))
        with pytest.raises(MediaUnavailable) as refused:
            await livekit.open_room("fc_1", max_participants=2)
        assert len(fake.asked) == 1
        cause = refused.value.__cause__
        assert isinstance(cause, TwirpError)
        assert cause.code == "unauthenticated"
        assert "eyJ" not in f"{cause} {refused.value.message}"


class TestClosing:
    async def test_everybody_is_sent_away_and_the_room_is_gone(self, world: World) -> None:
        room = await world.talk("ann", "bob")
        world.livekit.close_room(room)
        await trio.testing.wait_all_tasks_blocked()
        assert room not in world.fake.rooms

    async def test_closing_what_is_closed_is_no_failure(self, world: World) -> None:
        await trio.testing.wait_all_tasks_blocked()
        before = world.livekit.statistics()
        world.livekit.close_room("fc_1")
        await trio.testing.wait_all_tasks_blocked()
        assert world.livekit.statistics() == {**before, "done": before["done"] + 1}


class TestRemoving:
    async def test_he_is_sent_away_and_the_others_stay(self, world: World) -> None:
        room = await world.talk("ann", "bob", "cleo")
        world.livekit.remove(room, "bob")
        await trio.testing.wait_all_tasks_blocked()
        assert world.present(room) == {"ann", "cleo"}

    async def test_removing_who_is_not_there_is_no_failure(self, world: World) -> None:
        room = await world.talk("ann", "bob")
        world.livekit.remove(room, "dora")
        await trio.testing.wait_all_tasks_blocked()
        assert world.livekit.statistics()["failed"] == 0
        assert world.present(room) == {"ann", "bob"}
