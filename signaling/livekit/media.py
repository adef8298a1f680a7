"""The ``Media`` port, by LiveKit; and LiveKit put together."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx2
import structlog
import trio

from signaling.errors import MediaUnavailable
from signaling.livekit.attendance import Attendance
from signaling.livekit.errands import Errands
from signaling.livekit.hooks import Hooks
from signaling.livekit.probe import trouble
from signaling.livekit.reconciler import Reconciler
from signaling.livekit.rooms import Rooms
from signaling.livekit.settings import LiveKitSettings
from signaling.livekit.tokens import Tokens
from signaling.livekit.twirp import Twirp, TwirpError, open_http
from signaling.ports import MediaAccess, MediaEvents

CLOSE_S = 2.0
"""How long connections to LiveKit may take to be given back at the end."""

log = structlog.get_logger(__name__)


class LiveKit:
    """One LiveKit, or one cluster of it, as the media of the calls that it ``follow``s. Works while ``run`` runs.

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
        self._settings = settings
        self._clock = clock
        self._transport = transport
        self._http = open_http(settings.http_url, transport=transport)
        self._tokens = Tokens(settings, clock=clock)
        self._rooms = Rooms(twirp=Twirp(self._http), tokens=self._tokens)
        self._errands = Errands()
        self._attendance = Attendance()
        self._reconciler: Reconciler | None = None

    def follow(self, calls: MediaEvents, *, mine: Callable[[str], bool] = lambda room: True) -> Hooks:
        """Keep in step with these calls from when ``run`` runs. Called once, before it.

        Args:
            mine: whether this node, of several, looks after a room of this name.

        Returns: who takes LiveKit's webhooks.
        """
        self._reconciler = Reconciler(
            calls=calls,
            rooms=self._rooms,
            attendance=self._attendance,
            errands=self._errands,
            clock=self._clock,
            mine=mine,
        )
        return Hooks(self._settings, look_soon=self._reconciler.look_soon)

    async def run(self) -> None:
        """For ever. Whether LiveKit can be used at all is looked at once, and said in the log."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._warn)
                nursery.start_soon(self._errands.run)
                if self._reconciler is not None:
                    nursery.start_soon(self._reconciler.run)
        finally:
            with trio.move_on_after(CLOSE_S, shield=True):
                await self._http.aclose()

    async def _warn(self) -> None:
        reason = await trouble(self._settings, transport=self._transport)
        if reason is None:
            log.info("LiveKit is ready", url=self._settings.url)
        else:
            log.warning("calls will not work until LiveKit does", reason=reason)

    async def open_room(self, name: str, *, max_participants: int) -> None:
        try:
            await self._rooms.create(name, max_participants=max_participants)
        except TwirpError as error:
            raise MediaUnavailable(
                "Calls are not available now: the media server does not answer."
            ) from error

    def close_room(self, name: str) -> None:
        self._errands.put(("close", name), self._rooms.delete, name)

    def remove(self, name: str, user_id: str) -> None:
        self._errands.put(("remove", name, user_id), self._remove, name, user_id)

    async def _remove(self, name: str, user_id: str) -> None:
        await self._rooms.remove(name, user_id, now_s=int(self._clock()))

    def access(self, name: str, user_id: str, *, username: str | None, video: bool) -> MediaAccess:
        self._attendance.expect(name, user_id, now=trio.current_time())
        return self._tokens.join(name, user_id, username=username, video=video)

    def statistics(self) -> dict[str, int]:
        return self._errands.statistics()
