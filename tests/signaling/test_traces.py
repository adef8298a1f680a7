"""A hundred thousand random lives of calls: users with two devices each, in three rooms, doing what they like at any time.

Each trace is seeded by its number, so that one that fails can be played again alone. The devices are modelled as published
clients behave: an invite makes one ring until ``call-ended`` comes for that call or it answers itself, and nothing else
stops it; one that is in a call is busy, and takes no notice.
"""

from __future__ import annotations

import os
import random
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import pytest

from signaling.call import Call, Standing, Status
from signaling.calls import Calls, Who
from signaling.errors import CallError
from signaling.ports import Changed, Policy
from signaling.steps import Steps
from signaling.upkeep import Upkeep
from tests.signaling.memory import Clock, FakeMedia, MemoryCalls, Recorder, Unlimited

T = TypeVar("T")

TENANT: Final = "t"
ROOMS: Final = {"dm": ("ann", "bob"), "other": ("bob", "cid"), "team": ("ann", "bob", "cid", "dee")}
DEVICES: Final = {user_id: (f"{user_id}-1", f"{user_id}-2") for user_id in ("ann", "bob", "cid", "dee")}
POLICIES: Final = (
    Policy(ring_s=15),
    Policy(ring_s=15, max_participants=2),
    Policy(ring_s=15, creator_end_leaves=True),
)
STEPS: Final = 9
BATCHES: Final = 20
TRACES: Final = int(os.environ.get("GATEWAY_TEST_TRACES", "100000"))


def now(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of what never waits, as nothing does in memory."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waits")


class World:
    """Everybody, everything they see, and what must always be true of it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = Clock()
        self.store = MemoryCalls()
        self.store.rooms = {(TENANT, room_id): list(user_ids) for room_id, user_ids in ROOMS.items()}
        self.recorder = Recorder()
        media = FakeMedia()
        steps = Steps(store=self.store, announce=self.recorder, media=media)
        self.calls = Calls(steps=steps, store=self.store, media=media, limiter=Unlimited(), clock=self.clock)
        self.upkeep = Upkeep(steps=steps, store=self.store, media=media, clock=self.clock)
        self.policy = self.random.choice(POLICIES)
        self.ringing: set[tuple[str, str]] = set()  # device, call
        self.winner: dict[tuple[str, str], str] = {}  # call and user, to the device that answered

    def step(self) -> None:
        self.clock.ms += self.random.choice((1, 200, 3_000, 8_000))
        pick = self.random.random()
        if pick < 0.75:
            self._client()
        elif pick < 0.82:
            self._roster()
        elif pick < 0.90:
            self._media()
        else:
            self.ring_out()
        self.check()

    def _client(self) -> None:
        room_id = self.random.choice(list(ROOMS))
        user_id = self.random.choice(ROOMS[room_id])
        device = self.random.choice(DEVICES[user_id])
        who = Who(TENANT, user_id, device)
        live = [call for call in now(self.store.live_calls()) if call.room_id == room_id]
        known = live or [call for call in self.store.calls.values() if call.room_id == room_id][-1:]
        # What people do most: call, and answer.
        actions = ("start", "start", "accept", "accept", "decline", "end", "leave", "token")
        action = self.random.choice(actions) if known else "start"
        call_id = known[0].id if known else ""
        try:
            changed = now(self._asked(action, who, room_id, call_id))
        except CallError:
            if action == "accept":
                self.ringing.discard((device, call_id))  # the SDK goes back to idle
            return
        call = changed.call
        if action == "accept":
            # An accept that was granted makes this device the one that answers, until its user is out of the call again.
            before = changed.change.before
            assert before is not None
            if user_id not in before.joined:
                self.winner[call.id, user_id] = device
            elif user_id != call.created_by:
                assert self.winner.get((call.id, user_id), device) == device
        self.ringing.discard((device, call.id))  # whatever it did, it answered

    def _asked(self, action: str, who: Who, room_id: str, call_id: str) -> Coroutine[Any, Any, Changed]:
        match action:
            case "start":
                return self.calls.start(who, room_id, type=None, policy=self.policy)
            case "accept":
                return self.calls.accept(who, room_id, call_id, policy=self.policy)
            case "token":
                return self.calls.token(who, room_id, call_id, policy=self.policy)
            case "decline":
                return self.calls.decline(who, room_id, call_id, policy=self.policy)
            case "leave":
                return self.calls.leave(who, room_id, call_id, policy=self.policy)
            case _:
                unanswered = self.random.random() < 0.3
                return self.calls.end(who, room_id, call_id, unanswered=unanswered, policy=self.policy)

    def _roster(self) -> None:
        room_id = self.random.choice(list(ROOMS))
        members = self.store.rooms[TENANT, room_id]
        user_id = self.random.choice(ROOMS[room_id])
        if user_id in members:
            members.remove(user_id)
            now(self.upkeep.drop_strays(room_id=room_id))
        else:
            members.append(user_id)

    def _media(self) -> None:
        """What the media server reports, right or wrong, of calls that are and calls that were."""
        for call in list(self.store.calls.values())[-2:]:
            user_id = self.random.choice(call.parties).user_id
            match self.random.randrange(8):
                case 0:
                    now(self.upkeep.media_finished(call.media_room))
                case 1 | 2:
                    now(self.upkeep.media_joined(call.media_room, user_id))
                case _:
                    now(self.upkeep.media_left(call.media_room, user_id))

    def ring_out(self) -> None:
        for call in now(self.store.due_calls(self.clock.ms, limit=100)):
            now(self.upkeep.ring_out(call))

    def check(self) -> None:
        self._hear()
        live = now(self.store.live_calls())
        assert len({call.room_id for call in live}) == len(live)
        for call in live:
            assert len(call.joined) <= call.max_participants
            if call.status is Status.RINGING:
                assert call.joined == {call.created_by}, "it rings without a live caller"
            else:
                assert len(call.joined) > 1
        self.ringing = {
            (device, call_id) for device, call_id in self.ringing if not self._busy(device, call_id)
        }
        for device, call_id in self.ringing:
            call = self.store.calls[call_id]
            assert call.status.live, f"{device} rings for a call that is {call.status}"
            assert device[:3] in call.called, f"{device} rings for nothing"
        for key in [key for key in self.winner if key[1] not in self.store.calls[key[0]].joined]:
            del self.winner[key]

    def _hear(self) -> None:
        """Let the devices hear what was told since."""
        for told in self.recorder.take():
            call_id = told.payload.get("callId")
            for device in DEVICES[told.user_id]:
                if device == told.but_device:
                    continue
                if told.event == "call-invite":
                    self.ringing.add((device, call_id))
                elif told.event == "call-ended":
                    self.ringing.discard((device, call_id))
                if told.event in ("call-ended", "call-declined"):
                    call = self.store.calls[call_id]
                    talks = call.status.live and told.user_id in call.joined
                    assert not talks or self._device_in(call, told.user_id) != device, "its call was ended"

    def _busy(self, device: str, call_id: str) -> bool:
        """Whether the device is in another call than this."""
        others = [call for call in now(self.store.live_calls()) if call.id != call_id]
        return any(self._device_in(call, device[:3]) == device for call in others)

    @staticmethod
    def _device_in(call: Call, user_id: str) -> str | None:
        party = call.party(user_id)
        return party.device if party is not None and party.standing is Standing.JOINED else None

    def finish(self) -> None:
        """Everybody's phone falls into the water."""
        self.clock.ms += 15_000
        self.ring_out()
        self.check()
        assert not self.ringing
        for call in now(self.store.live_calls()):
            assert call.status is Status.ACTIVE
            now(self.upkeep.media_finished(call.media_room))
        self.check()
        assert all(not call.status.live for call in self.store.calls.values())
        logged = sorted([change.call.id for change in self.store.logged])
        assert logged == sorted(self.store.calls), "one log for each call"


@pytest.mark.parametrize("batch", range(BATCHES))
def test_whatever_people_do_every_call_ends_once_and_no_device_rings_in_vain(batch: int) -> None:
    seen: set[Status] = set()
    for seed in range(batch * TRACES // BATCHES, (batch + 1) * TRACES // BATCHES):
        world = World(seed)
        try:
            for _ in range(STEPS):
                world.step()
            world.finish()
        except AssertionError as error:
            raise AssertionError(f"trace {seed}: {error}") from error
        seen.update(call.status for call in world.store.calls.values())
    assert seen == {status for status in Status if not status.live}
