"""A reconciler between calls and a LiveKit in the same process, on the test's clock, with webhooks that do as told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count

import trio
import trio.testing
from google.protobuf.json_format import MessageToJson
from livekit.protocol.models import Room
from livekit.protocol.webhook import WebhookEvent

from signaling.call import Call, Status
from signaling.livekit.media import LiveKit
from signaling.livekit.settings import LiveKitSettings
from signaling.transitions import Action, Ask, advance, ring
from tests.support.livekit_fake import KEY, SECRET, FakeLiveKit, InProcess, Webhook, signed

SETTINGS = LiveKitSettings(
    url="http://livekit.test:7880", public_url="wss://media.example.org", api_key=KEY, api_secret=SECRET
)
TENANT = "t1"


class KeptCalls:
    """Calls by the real table, in a dictionary instead of a store."""

    def __init__(self, livekit: LiveKit) -> None:
        self._livekit = livekit
        self._numbers = count(1)
        self._by_room: dict[str, Call] = {}
        self.asked_for: set[str] = set()

    def begin(self, *user_ids: str) -> str:
        """The media room of a new call, by the first of these, ringing for the others."""
        number = next(self._numbers)
        call = ring(
            call_id=f"call-{number}",
            tenant_id=TENANT,
            room_id=f"room-{number}",
            type="video",
            creator_id=user_ids[0],
            device=None,
            user_ids=user_ids,
            max_participants=8,
            ring_s=45,
            now=_now(),
        )
        self._by_room[call.media_room] = call
        return call.media_room

    def act(self, room: str, action: Action, user_id: str = "") -> None:
        after = advance(self._by_room[room], Ask(action=action, now=_now(), user_id=user_id))
        self._by_room[room] = after
        if not after.status.live:
            self._livekit.close_room(room)

    def joined(self, room: str) -> frozenset[str]:
        return self._by_room[room].joined

    def status(self, room: str) -> Status:
        return self._by_room[room].status

    async def live_media_rooms(self) -> list[str]:
        return [room for room, call in self._by_room.items() if call.status.live]

    async def call_in(self, room_name: str) -> Call | None:
        self.asked_for.add(room_name)
        return self._by_room.get(room_name)

    async def media_joined(self, room_name: str, user_id: str) -> None:
        if user_id not in self._by_room[room_name].joined:
            self._livekit.remove(room_name, user_id)

    async def media_left(self, room_name: str, user_id: str) -> None:
        self.act(room_name, Action.VANISHED, user_id)

    async def media_finished(self, room_name: str) -> None:
        self.act(room_name, Action.MEDIA_OVER)


class World:
    """
    Attributes:
        mine: whether the rooms are this node's to look after.
        fate: what becomes of a webhook: after how many seconds it arrives, each time that it does.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self.fake = FakeLiveKit()
        self.fake.on_webhook = self._send
        self.livekit = LiveKit(SETTINGS, transport=InProcess(self.fake), clock=trio.current_time)
        self.calls = KeptCalls(self.livekit)
        self.mine = True
        self.hooks = self.livekit.follow(self.calls, mine=lambda room: self.mine)
        self.fate: Callable[[Webhook], list[float]] = lambda webhook: []
        self._nursery = nursery

    def _send(self, webhook: Webhook) -> None:
        for delay_s in self.fate(webhook):
            self._nursery.start_soon(self._arrive, webhook, delay_s)

    async def _arrive(self, webhook: Webhook, delay_s: float) -> None:
        await trio.sleep(delay_s)
        self.hooks.receive(webhook.body, webhook.authorization)

    async def talk(self, *user_ids: str) -> str:
        """A call in which all of these are in the media room; answers the room."""
        room = self.calls.begin(*user_ids)
        await self.livekit.open_room(room, max_participants=8)
        for user_id in user_ids[1:]:
            self.calls.act(room, Action.ACCEPT, user_id)
        for user_id in user_ids:
            self.fake.join(self.token(room, user_id))
        # Seen by the reconciler: who has been in the room is missed sooner than who never came.
        await self.look(room)
        return room

    async def look(self, room: str) -> None:
        """Have the reconciler look at this room, as a webhook does."""
        body = MessageToJson(WebhookEvent(event="participant_joined", room=Room(name=room))).encode()
        webhook = signed("", "", "", body, key=KEY, secret=SECRET)
        assert self.hooks.receive(webhook.body, webhook.authorization)
        await trio.testing.wait_all_tasks_blocked()

    def token(self, room: str, user_id: str) -> str:
        return self.livekit.access(room, user_id, username=None, video=True).token

    def present(self, room: str) -> set[str]:
        return self.fake.present(room)

    async def until(self, holds: Callable[[], bool], *, within_s: float) -> None:
        """Return as soon as this holds, on the test's clock.

        Raises:
            trio.TooSlowError: it did not in this time.
        """
        with trio.fail_after(within_s):
            while not holds():  # noqa: ASYNC110 (what is waited for wakes nobody)
                await trio.sleep(0.05)


def _now() -> int:
    return int(trio.current_time() * 1000)


@asynccontextmanager
async def open_world() -> AsyncIterator[World]:
    async with trio.open_nursery() as nursery:
        world = World(nursery)
        nursery.start_soon(world.livekit.run)
        yield world
        nursery.cancel_scope.cancel()
