"""Keeps LiveKit and our calls in step, whatever LiveKit tells us or forgets to.

LiveKit's webhooks are lost when it is busy, repeated when an answer is, and come in any order. So none of them is believed:
a webhook only says where to look. To look at a room is to ask LiveKit who is in it, ask the store who may be, and mend what
differs; to do so twice, late or for no reason does no harm. All rooms of live calls are looked at in rounds anyway, and that
alone keeps every call right within 15 seconds::

    webhook ──▶ look_soon ─┐                       present, not in the call ─▶ media_joined: he is sent away
                           ├─▶ look at one room ─▶ in the call, missing long ─▶ media_left, or media_finished
    every 3 s, live calls ─┘                       an active call without room ─▶ made again
    every 15 s: rooms of calls that are over, whose closing failed ────────────────▶ closed

Who was sent away and shows his old token again is in the room until the next look at it: milliseconds with webhooks, a round
without. A ringing call is never changed: its room is empty until somebody answers (contract appendix A 22).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from math import inf
from typing import Final

import trio

from signaling.call import Call, Status
from signaling.livekit.attendance import Attendance
from signaling.livekit.errands import Errands
from signaling.livekit.rooms import Rooms
from signaling.livekit.twirp import TwirpError
from signaling.ports import MediaEvents

ROUND_S: Final = 3.0
ROOMS_PER_S: Final = 150
"""With more live calls than this bound lets into a round, rounds take longer: looking must not become the load."""

TICK_S: Final = 0.5
SWEEP_S: Final = 15.0
ROOM_PREFIX: Final = "fc_"
"""Of all media rooms that gateways make (contract 5.6). Others may share the LiveKit."""


class Reconciler:
    """Looks at rooms, in rounds and when told to, and has mended what differs.

    Args:
        calls: what is so, and who decides what to do about it.
        clock: seconds since the epoch, as calls are dated.
        mine: whether this node, of several, looks at a room of this name in its rounds.
    """

    def __init__(
        self,
        *,
        calls: MediaEvents,
        rooms: Rooms,
        attendance: Attendance,
        errands: Errands,
        clock: Callable[[], float],
        mine: Callable[[str], bool],
    ) -> None:
        self._calls = calls
        self._rooms = rooms
        self._attendance = attendance
        self._errands = errands
        self._clock = clock
        self._mine = mine
        self._looked_at = 0
        self._next_sweep = -inf

    def look_soon(self, room: str) -> None:
        """Look at this room, of whatever call; a room that is none of ours is left alone."""
        self._errands.put(("look", room), self._look, room)

    async def run(self) -> None:
        """Round after round, for ever."""
        while True:
            await self._errands.attempt(self._round)
            pause = max(ROUND_S, self._looked_at / ROOMS_PER_S)
            until = trio.current_time() + pause * random.uniform(0.9, 1.1)
            while trio.current_time() < until:
                await trio.sleep(TICK_S)
                for room in self._attendance.due(trio.current_time()):
                    self.look_soon(room)

    async def _round(self) -> None:
        live = set(await self._calls.live_media_rooms())
        self._attendance.keep(live)
        mine = [room for room in live if self._mine(room)]
        self._looked_at = len(mine)
        for room in mine:
            self.look_soon(room)
        if trio.current_time() >= self._next_sweep:
            self._next_sweep = trio.current_time() + SWEEP_S
            for room in await self._rooms.names() - live:
                if room.startswith(ROOM_PREFIX) and self._mine(room):
                    self._errands.put(("sweep", room), self._sweep, room)

    async def _sweep(self, room: str) -> None:
        call = await self._calls.call_in(room)
        if call is not None and not call.status.live:
            await self._rooms.delete(room)

    async def _look(self, room: str) -> None:
        try:
            present = await self._rooms.present(room)
        except TwirpError:
            # What was seen before LiveKit went away says nothing about who comes back with it.
            self._attendance.forget(room)
            raise
        # After LiveKit was asked: whoever it let in by a token of ours is in the call by now, or has left it since.
        call = await self._calls.call_in(room)
        if call is None or not call.status.live:
            return
        for user_id in present - call.joined:
            await self._calls.media_joined(room, user_id)
        if call.status is Status.ACTIVE:
            await self._look_for_missing(call, present)

    async def _look_for_missing(self, call: Call, present: frozenset[str]) -> None:
        room = call.media_room
        gone = self._attendance.gone(
            room,
            joined=call.joined,
            present=present,
            now=trio.current_time(),
            active_s=self._clock() - (call.started_at or call.created_at) / 1000,
        )
        if gone == call.joined:
            await self._calls.media_finished(room)
            return
        for user_id in gone:
            await self._calls.media_left(room, user_id)
        if not present:
            # A LiveKit that has started again has lost its rooms, and lets nobody into one that is not there.
            await self._rooms.create(room, max_participants=call.max_participants)
