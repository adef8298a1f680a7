"""The ports of signaling in memory: a store that passes the contract of the real one, and a world to watch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from signaling import errors
from signaling.call import Call, Standing, Status
from signaling.events import Notice
from signaling.ports import Change, Changed, MediaAccess, Room, Step, Stray


class Clock:
    """Milliseconds since the epoch, moved by hand."""

    def __init__(self) -> None:
        self.ms = 1_800_000_000_000

    def __call__(self) -> int:
        return self.ms


class MemoryCalls:
    """``signaling.ports.CallStore`` without a database.

    Attributes:
        rooms: who is in each room; the tenant is in the key.
        frozen: ids of frozen rooms.
    """

    def __init__(self) -> None:
        self.rooms: dict[tuple[str, str], list[str]] = {}
        self.frozen: set[str] = set()
        self.calls: dict[str, Call] = {}
        self.logged: list[Change] = []
        self._live: dict[str, str] = {}

    async def room_and_call(
        self, tenant_id: str, room_id: str, call_id: str | None = None
    ) -> tuple[Call | None, Room]:
        return self._look(tenant_id, room_id, call_id)

    async def change_call(
        self,
        tenant_id: str,
        room_id: str,
        call_id: str | None,
        step: Step,
        *,
        then: Callable[[Changed], None],
        once: Any | None = None,
    ) -> Changed:
        decided = step(*self._look(tenant_id, room_id, call_id))
        changed = Changed(decided, () if decided.before is decided.call else self._write(decided))
        then(changed)
        return changed

    async def call(self, call_id: str) -> Call | None:
        return self.calls.get(call_id)

    async def live_calls(self) -> list[Call]:
        """For tests; the gateway itself has no use for all of them."""
        return [self.calls[call_id] for call_id in self._live.values()]

    async def live_media_rooms(self) -> list[str]:
        return [call.media_room for call in await self.live_calls()]

    async def calls_page(
        self, tenant_id: str, room_id: str, *, viewer_id: str | None, limit: int, cursor: str | None
    ) -> tuple[list[Call], str | None]:
        members = self.rooms.get((tenant_id, room_id))
        if members is None or (viewer_id is not None and viewer_id not in members):
            raise errors.no_such_room()
        found = sorted(
            [call for call in self.calls.values() if call.room_id == room_id and call.id < (cursor or "~")],
            key=lambda call: call.id,
            reverse=True,
        )
        return found[:limit], found[limit - 1].id if len(found) > limit else None

    async def calls_ringing_for(self, tenant_id: str, user_id: str) -> list[Call]:
        live = await self.live_calls()
        return [call for call in live if call.tenant_id == tenant_id and user_id in call.called]

    async def due_calls(self, now: int, *, limit: int) -> list[Call]:
        live = [call for call in await self.live_calls() if call.ring_until is not None]
        due = [call for call in live if call.ring_until is not None and call.ring_until <= now]
        return sorted(due, key=lambda call: call.ring_until or 0)[:limit]

    async def call_strays(self, *, room_id: str | None = None, limit: int) -> list[Stray]:
        found = [
            Stray(call.tenant_id, call.room_id, call.id, user_id)
            for call in await self.live_calls()
            if room_id in (None, call.room_id)
            for user_id in sorted(
                (call.joined | call.called).difference(self.rooms[call.tenant_id, call.room_id])
            )
        ]
        return found[:limit]

    def _look(self, tenant_id: str, room_id: str, call_id: str | None) -> tuple[Call | None, Room]:
        user_ids = self.rooms.get((tenant_id, room_id))
        if user_ids is None:
            raise errors.no_such_room()
        call = self.calls.get(call_id or self._live.get(room_id, ""))
        if call is not None and call.room_id != room_id:
            call = None
        engaged = {
            party.user_id: party.device
            for other_id in self._live.values()
            if call is not None and other_id != call.id
            for party in self.calls[other_id].parties
            if party.standing is Standing.JOINED and party.user_id in user_ids
        }
        return call, Room(tuple(user_ids), frozenset(user_ids), room_id in self.frozen, engaged)

    def _write(self, decided: Change) -> tuple[Any, ...]:
        call = decided.call
        self.calls[call.id] = call
        if call.status.live:
            assert self._live.setdefault(call.room_id, call.id) == call.id
        else:
            del self._live[call.room_id]
        if decided.log is None:
            return decided.notices
        self.logged.append(decided)
        return (
            *decided.notices,
            Notice(decided.room.user_ids, "new-message", msgspec.json.encode(decided.log)),
        )


class FakeMedia:
    """``signaling.ports.Media`` that does what it is told at once.

    Attributes:
        rooms: who was let in by a token and not sent away.
        away: LiveKit cannot be reached.
    """

    def __init__(self) -> None:
        self.rooms: dict[str, int] = {}
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.removed: list[tuple[str, str]] = []
        self.away = False

    async def open_room(self, name: str, *, max_participants: int) -> None:
        if self.away:
            raise errors.MediaUnavailable("LiveKit is away.")
        self.opened.append(name)
        self.rooms[name] = max_participants

    def close_room(self, name: str) -> None:
        self.closed.append(name)
        self.rooms.pop(name, None)

    def remove(self, name: str, user_id: str) -> None:
        self.removed.append((name, user_id))

    def access(self, name: str, user_id: str, *, username: str | None, video: bool) -> MediaAccess:
        return MediaAccess("wss://media.test", f"{name} {user_id}", "2027-01-15T09:00:00.000Z")


class Told(msgspec.Struct, frozen=True):
    """One event at one device: of a user, or of one of his devices."""

    user_id: str
    event: str
    payload: Any
    but_device: str | None = None


class Recorder:
    """``signaling.ports.Announce``: what each user was told, in order."""

    def __init__(self) -> None:
        self.told: list[Told] = []

    def changed(self, changed: Changed) -> None:
        for notice in changed.told:
            payload = msgspec.json.decode(notice.payload)
            self.told += [
                Told(user_id, notice.event, payload, notice.but_device) for user_id in notice.user_ids
            ]

    def take(self) -> list[Told]:
        told, self.told = self.told, []
        return told


class Unlimited:
    def require(self, tenant_id: str, user_id: str, action: str) -> None:
        pass


def standings(call: Call) -> dict[str, Standing]:
    return {party.user_id: party.standing for party in call.parties}


FINAL = [status for status in Status if not status.live]
