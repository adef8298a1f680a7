"""What happens to calls without a client asking: time, people who leave the room, and what the media server reports."""

from __future__ import annotations

from collections.abc import Callable

from signaling import errors
from signaling.call import Call
from signaling.ports import CallStore, Change, Media, Room
from signaling.steps import Steps, decided
from signaling.transitions import Action, Ask, advance


class Upkeep:
    """Keeps the calls of all tenants right; the ``ports.MediaEvents`` of the media server.

    Args:
        clock: milliseconds since the epoch; also called in other threads.
    """

    def __init__(
        self, *, steps: Steps, store: CallStore, media: Media | None, clock: Callable[[], int]
    ) -> None:
        self._steps = steps
        self._store = store
        self._media = media
        self._clock = clock

    async def ring_out(self, call: Call) -> None:
        """The ring is due: who has not answered has missed it."""
        await self._happen(call, Action.RING_TIMEOUT)

    async def drop_strays(self, *, limit: int = 1_000, room_id: str | None = None) -> None:
        """Put out of their calls who are not in the room any more."""
        for stray in await self._store.call_strays(room_id=room_id, limit=limit):

            def step(call: Call | None, room: Room, user_id: str = stray.user_id) -> Change:
                if call is None:
                    raise errors.no_such_call()
                if user_id in room.members:  # and back again
                    return Change(call, call, room)
                ask = Ask(action=Action.REMOVED, user_id=user_id, now=self._clock())
                return decided(call, advance(call, ask), room)

            await self._steps.take(stray.tenant_id, stray.room_id, stray.call_id, step)

    async def live_media_rooms(self) -> list[str]:
        """See ``MediaEvents``; so are the next four."""
        return await self._store.live_media_rooms()

    async def call_in(self, room_name: str) -> Call | None:
        # A media room has its call's id behind the last underscore.
        call = await self._store.call(room_name.rpartition("_")[2])
        return call if call is not None and call.media_room == room_name else None

    async def media_joined(self, room_name: str, user_id: str) -> None:
        call = await self._of_media_room(room_name)
        if (call is None or user_id not in call.joined) and self._media is not None:
            self._media.remove(room_name, user_id)

    async def media_left(self, room_name: str, user_id: str) -> None:
        call = await self._of_media_room(room_name)
        if call is not None and user_id in call.joined:
            await self._happen(call, Action.VANISHED, user_id)

    async def media_finished(self, room_name: str) -> None:
        call = await self._of_media_room(room_name)
        if call is not None:
            await self._happen(call, Action.MEDIA_OVER)

    async def _of_media_room(self, name: str) -> Call | None:
        """The live call of this media room."""
        call = await self.call_in(name)
        return call if call is not None and call.status.live else None

    async def _happen(self, call: Call, action: Action, user_id: str = "") -> None:
        def step(current: Call | None, room: Room) -> Change:
            if current is None:
                raise errors.no_such_call()
            ask = Ask(action=action, now=self._clock(), user_id=user_id)
            return decided(current, advance(current, ask), room)

        await self._steps.take(call.tenant_id, call.room_id, call.id, step)
