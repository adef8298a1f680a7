"""LiveKit and our calls come into step by themselves, whatever becomes of the webhooks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from signaling.call import Status
from signaling.livekit.attendance import CONNECT_S, GONE_S
from signaling.livekit.errands import WORKERS
from signaling.livekit.reconciler import ROOMS_PER_S, ROUND_S
from signaling.transitions import Action
from tests.signaling.livekit.world import World
from tests.support.livekit_fake import FakeRoom, Webhook

RIGHT_S = 15.0  # the call's state is right within this
GHOSTS_S = 30.0  # nobody is in a room who should not be, or in a call who is not there

Fate = Callable[[Webhook], list[float]]


def shuffled() -> Fate:
    """Each overtakes those before it."""
    delays = count(5.0, -0.5)
    return lambda webhook: [max(0.0, next(delays))]


FATES: dict[str, Callable[[], Fate]] = {
    "arrives": lambda: lambda webhook: [0.0],
    "is lost": lambda: lambda webhook: [],
    "comes twice": lambda: lambda webhook: [0.0, 1.0],
    "is a minute late": lambda: lambda webhook: [60.0],
    "is overtaken": shuffled,
}


@pytest.fixture(params=FATES)
def webhooks(world: World, request: pytest.FixtureRequest) -> str:
    """Every webhook has this fate."""
    name: str = request.param
    world.fate = FATES[name]()
    return name


class TestWhateverBecomesOfWebhooks:
    async def test_a_call_between_two_is_over_soon_after_one_has_gone(
        self, world: World, webhooks: str, autojump_clock: MockClock
    ) -> None:
        room = await world.talk("ann", "bob")
        world.fake.leave(room, "bob")
        await world.until(lambda: world.calls.status(room) is Status.ENDED, within_s=RIGHT_S)
        await world.until(lambda: room not in world.fake.rooms, within_s=1)

    async def test_a_group_goes_on_without_who_has_gone(
        self, world: World, webhooks: str, autojump_clock: MockClock
    ) -> None:
        room = await world.talk("ann", "bob", "cleo")
        world.fake.leave(room, "bob")

        def without_bob() -> bool:
            return world.calls.joined(room) == {"ann", "cleo"}

        await world.until(without_bob, within_s=RIGHT_S)
        await trio.sleep(120)
        assert without_bob()
        assert world.calls.status(room) is Status.ACTIVE

    async def test_a_call_that_everybody_has_gone_from_is_over(
        self, world: World, webhooks: str, autojump_clock: MockClock
    ) -> None:
        room = await world.talk("ann", "bob", "cleo")
        for user_id in ("ann", "bob", "cleo"):
            world.fake.leave(room, user_id)
        await world.until(lambda: world.calls.status(room) is Status.ENDED, within_s=RIGHT_S)

    async def test_a_call_that_everybody_stays_in_goes_on(
        self, world: World, webhooks: str, autojump_clock: MockClock
    ) -> None:
        room = await world.talk("ann", "bob")
        await trio.sleep(300)
        assert world.calls.status(room) is Status.ACTIVE
        assert world.present(room) == {"ann", "bob"}

    async def test_who_has_left_the_call_does_not_stay_in_its_room(
        self, world: World, webhooks: str, autojump_clock: MockClock
    ) -> None:
        room = await world.talk("ann", "bob", "cleo")
        world.calls.act(room, Action.LEAVE, "bob")
        await world.until(lambda: world.present(room) == {"ann", "cleo"}, within_s=GHOSTS_S)

    async def test_who_was_sent_away_does_not_stay_with_his_old_token(
        self, world: World, webhooks: str, autojump_clock: MockClock
    ) -> None:
        room = await world.talk("ann", "bob", "cleo")
        old = world.token(room, "bob")
        world.calls.act(room, Action.REMOVED, "bob")
        for _ in range(3):
            world.fake.join(old)
            await world.until(lambda: world.present(room) == {"ann", "cleo"}, within_s=2 * ROUND_S)

    async def test_a_device_that_takes_over_from_another_changes_nothing(
        self, world: World, webhooks: str, autojump_clock: MockClock
    ) -> None:
        room = await world.talk("ann", "bob")
        for _ in range(3):
            world.fake.join(world.token(room, "bob"))
            await trio.sleep(20)
        assert world.calls.status(room) is Status.ACTIVE
        assert world.present(room) == {"ann", "bob"}

    async def test_a_ringing_call_rings_on_though_nobody_is_in_its_room(
        self, world: World, webhooks: str, autojump_clock: MockClock
    ) -> None:
        room = world.calls.begin("ann", "bob")
        await world.livekit.open_room(room, max_participants=8)
        world.fake.join(world.token(room, "ann"))
        world.fake.leave(room, "ann")
        await world.look(room)
        await trio.sleep(120)
        assert world.calls.status(room) is Status.RINGING

    async def test_nobody_waits_in_the_room_of_a_ringing_call_who_has_not_accepted(
        self, world: World, webhooks: str, autojump_clock: MockClock
    ) -> None:
        room = world.calls.begin("ann", "bob")
        await world.livekit.open_room(room, max_participants=8)
        world.fake.join(world.token(room, "ann"))
        world.fake.join(world.token(room, "bob"))
        await world.until(lambda: world.present(room) == {"ann"}, within_s=GHOSTS_S)


class TestHowLongSomebodyMayBeMissing:
    async def test_who_came_and_went_between_two_looks_is_missed_as_soon(
        self, world: World, autojump_clock: MockClock
    ) -> None:
        room = world.calls.begin("ann", "bob")
        await world.livekit.open_room(room, max_participants=8)
        await trio.sleep(ROUND_S + 0.1)
        world.calls.act(room, Action.ACCEPT, "bob")
        for user_id in ("ann", "bob"):
            world.fake.join(world.token(room, user_id))
        world.fake.leave(room, "bob")
        await world.until(lambda: world.calls.status(room) is Status.ENDED, within_s=RIGHT_S)

    async def test_a_caller_who_has_waited_long_has_time_to_connect_all_the_same(
        self, world: World, autojump_clock: MockClock
    ) -> None:
        room = world.calls.begin("ann", "bob")
        await world.livekit.open_room(room, max_participants=8)
        token = world.token(room, "ann")
        await trio.sleep(40)
        world.calls.act(room, Action.ACCEPT, "bob")
        world.fake.join(world.token(room, "bob"))
        await trio.sleep(CONNECT_S - 1)
        world.fake.join(token)
        await trio.sleep(60)
        assert world.calls.status(room) is Status.ACTIVE

    async def test_a_page_may_reload(self, world: World, autojump_clock: MockClock) -> None:
        room = await world.talk("ann", "bob")
        for _ in range(3):
            world.fake.leave(room, "bob")
            await trio.sleep(GONE_S - 1)
            world.fake.join(world.token(room, "bob"))
            await trio.sleep(30)
        assert world.calls.status(room) is Status.ACTIVE

    async def test_who_accepts_may_take_his_time_to_connect(
        self, world: World, autojump_clock: MockClock
    ) -> None:
        room = world.calls.begin("ann", "bob")
        await world.livekit.open_room(room, max_participants=8)
        world.calls.act(room, Action.ACCEPT, "bob")
        await trio.sleep(CONNECT_S - 1)
        for user_id in ("ann", "bob"):
            world.fake.join(world.token(room, user_id))
        await trio.sleep(60)
        assert world.calls.status(room) is Status.ACTIVE

    async def test_a_call_that_nobody_connects_to_is_over(
        self, world: World, autojump_clock: MockClock
    ) -> None:
        room = world.calls.begin("ann", "bob")
        await world.livekit.open_room(room, max_participants=8)
        world.calls.act(room, Action.ACCEPT, "bob")
        await world.until(lambda: world.calls.status(room) is Status.ENDED, within_s=GHOSTS_S)

    async def test_a_new_token_gives_new_time_to_connect(
        self, world: World, autojump_clock: MockClock
    ) -> None:
        room = await world.talk("ann", "bob")
        world.fake.leave(room, "bob")
        await trio.sleep(GONE_S - 1)
        token = world.token(room, "bob")
        await trio.sleep(CONNECT_S - 1)
        world.fake.join(token)
        await trio.sleep(30)
        assert world.calls.status(room) is Status.ACTIVE


class TestWhenLiveKitFails:
    async def test_a_room_that_could_not_be_closed_is_closed_later(
        self, world: World, autojump_clock: MockClock
    ) -> None:
        room = await world.talk("ann", "bob")
        world.fake.away = True
        world.calls.act(room, Action.END, "ann")
        await trio.sleep(60)
        world.fake.away = False
        assert world.present(room) == {"ann", "bob"}
        await world.until(lambda: room not in world.fake.rooms, within_s=GHOSTS_S)

    async def test_who_could_not_be_sent_away_is_sent_away_later(
        self, world: World, autojump_clock: MockClock
    ) -> None:
        room = await world.talk("ann", "bob", "cleo")
        world.fake.away = True
        world.calls.act(room, Action.REMOVED, "bob")
        world.livekit.remove(room, "bob")
        await trio.sleep(60)
        world.fake.away = False
        await world.until(lambda: world.present(room) == {"ann", "cleo"}, within_s=GHOSTS_S)

    async def test_while_it_cannot_be_asked_nobody_has_gone(
        self, world: World, autojump_clock: MockClock
    ) -> None:
        room = await world.talk("ann", "bob")
        world.fake.away = True
        await trio.sleep(300)
        world.fake.away = False
        await trio.sleep(60)
        assert world.calls.status(room) is Status.ACTIVE

    async def test_who_was_missing_when_it_went_away_has_his_time_again_when_it_is_back(
        self, world: World, autojump_clock: MockClock
    ) -> None:
        room = await world.talk("ann", "bob")
        world.fake.leave(room, "bob")
        await trio.sleep(GONE_S - 2)
        world.fake.away = True
        await trio.sleep(60)
        world.fake.away = False
        await trio.sleep(CONNECT_S - 2)
        assert world.calls.status(room) is Status.ACTIVE
        await world.until(lambda: world.calls.status(room) is Status.ENDED, within_s=RIGHT_S)

    async def test_after_its_restart_clients_come_back_into_the_same_call(
        self, world: World, autojump_clock: MockClock
    ) -> None:
        room = await world.talk("ann", "bob")
        tokens = [world.token(room, user_id) for user_id in ("ann", "bob")]
        world.fake.away = True
        await trio.sleep(10)
        world.fake.restart()
        world.fake.away = False
        await world.until(lambda: room in world.fake.rooms, within_s=2 * ROUND_S)
        for token in tokens:
            world.fake.join(token)
        await trio.sleep(60)
        assert world.calls.status(room) is Status.ACTIVE
        assert world.fake.rooms[room].max_participants == 8

    async def test_after_its_restart_a_call_to_which_nobody_comes_back_is_over(
        self, world: World, autojump_clock: MockClock
    ) -> None:
        room = await world.talk("ann", "bob")
        world.fake.restart()
        await world.until(lambda: world.calls.status(room) is Status.ENDED, within_s=GHOSTS_S)

    async def test_its_going_away_is_logged_once_and_so_is_its_coming_back(
        self, world: World, autojump_clock: MockClock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        await world.talk("ann", "bob")
        world.fake.away = True
        await trio.sleep(60)
        world.fake.away = False
        await trio.sleep(60)
        said = capsys.readouterr().out
        assert said.count("LiveKit does not do its work") == 1
        assert said.count("LiveKit works again") == 1


class TestWhatIsNotOurs:
    async def test_rooms_of_other_programs_and_of_other_gateways_stay(
        self, world: World, autojump_clock: MockClock
    ) -> None:
        world.fake.rooms["standup"] = FakeRoom(0, {"dora": "PA_1"})
        world.fake.rooms["fc_another_gateway's_call"] = FakeRoom(0, {"emil": "PA_2"})
        world.fate = FATES["arrives"]()
        await trio.sleep(120)
        assert "standup" not in world.calls.asked_for  # the store has better to do
        await world.look("standup")
        await trio.sleep(20)
        assert world.present("standup") == {"dora"}
        assert world.present("fc_another_gateway's_call") == {"emil"}


class TestTheLoad:
    async def test_rooms_that_another_node_looks_after_are_left_to_it_but_for_webhooks(
        self, world: World, autojump_clock: MockClock
    ) -> None:
        room = await world.talk("ann", "bob")
        world.mine = False
        await trio.sleep(2 * ROUND_S)
        world.fake.asked.clear()
        await trio.sleep(60)
        assert {method for method, _ in world.fake.asked} <= {"ListRooms"}
        world.fate = FATES["arrives"]()
        world.fake.leave(room, "bob")
        await world.until(lambda: world.calls.status(room) is Status.ENDED, within_s=RIGHT_S)

    async def test_rounds_take_longer_with_more_calls_than_can_be_looked_at(
        self, world: World, autojump_clock: MockClock
    ) -> None:
        many = int(ROOMS_PER_S * ROUND_S) * 3
        for _ in range(many):
            await world.livekit.open_room(world.calls.begin("ann", "bob"), max_participants=2)
        world.fake.asked.clear()
        await trio.sleep(20)
        looked = sum(method == "ListParticipants" for method, _ in world.fake.asked)
        assert many < looked <= 20 * ROOMS_PER_S * 1.2

    async def test_a_storm_of_webhooks_for_one_room_is_few_looks(
        self, world: World, autojump_clock: MockClock
    ) -> None:
        room = await world.talk("ann", "bob")
        world.fate = FATES["arrives"]()
        world.fake.asked.clear()
        for _ in range(1_000):
            world.fake.join(world.token(room, "ann"))
        await trio.testing.wait_all_tasks_blocked()
        assert len(world.fake.asked) <= WORKERS
