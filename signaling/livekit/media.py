"""The ``Media`` port, by LiveKit."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx2
import trio

from signaling.errors import MediaUnavailable
from signaling.livekit.attendance import Attendance
from signaling.livekit.errands import Errands
from signaling.livekit.rooms import Rooms
from signaling.livekit.settings import LiveKitSettings
from signaling.livekit.tokens import Tokens
from signaling.livekit.twirp import Twirp, TwirpError, open_http
from signaling.ports import MediaAccess

CLOSE_S = 2.0
"""How long connections to LiveKit may take to be given back at the end."""


class LiveKit:
    """One LiveKit, or one cluster of it. Works once ``run`` runs.

    Args:
        clock: seconds since the epoch.
        transport: what carries requests to LiveKit, for tests.
    """

    def __init__(
        self,
        settings: LiveKitSettings,
        *,
        clock: Callable[[], float] = time.time,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._clock = clock
        self._http = open_http(settings.http_url, transport=transport)
        self._tokens = Tokens(settings, clock=clock)
        self.rooms = Rooms(twirp=Twirp(self._http), tokens=self._tokens)
        self.errands = Errands()
        self.attendance = Attendance()

    async def run(self) -> None:
        """Do what ``close_room`` and ``remove`` have asked for, for ever."""
        try:
            await self.errands.run()
        finally:
            with trio.move_on_after(CLOSE_S, shield=True):
                await self._http.aclose()

    async def open_room(self, name: str, *, max_participants: int) -> None:
        try:
            await self.rooms.create(name, max_participants=max_participants)
        except TwirpError as error:
            raise MediaUnavailable(
                "Calls are not available now: the media server does not answer."
            ) from error

    def close_room(self, name: str) -> None:
        self.errands.put(("close", name), self.rooms.delete, name)

    def remove(self, name: str, user_id: str) -> None:
        self.errands.put(("remove", name, user_id), self._remove, name, user_id)

    async def _remove(self, name: str, user_id: str) -> None:
        await self.rooms.remove(name, user_id, now_s=int(self._clock()))

    def access(self, name: str, user_id: str, *, username: str | None, video: bool) -> MediaAccess:
        self.attendance.expect(name, user_id)
        return self._tokens.join(name, user_id, username=username, video=video)

    def statistics(self) -> dict[str, int]:
        return self.errands.statistics()
