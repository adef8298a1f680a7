"""Who is online in a tenant, who has a room open, and who is told of it.

A user is online while any session lives, and for a grace after the last one has gone, which hides the reconnect of a token
refresh (contract 4.6). Tenant deltas are coalesced: what changes within one beat reaches each viewer as one write.

Users are counted over all nodes. A node speaks for its own sessions, their grace included; somebody is here while any node
says so, and each node tells its own viewers what that changes. So a reconnect to another node within the grace shows
nothing, and neither does the end of a node whose users come back elsewhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Literal, Protocol

import msgspec
import structlog
import trio

from gateway.delivery.attendance import Change
from gateway.delivery.fanout import Fanout
from gateway.delivery.gossip import Gossip
from gateway.delivery.grace import Grace
from gateway.delivery.hub import Hub
from gateway.delivery.outbox import Outbox
from gateway.delivery.session import Session
from gateway.delivery.timers import Timer, Wheel
from gateway.errors import Unavailable
from gateway.wire.prepared import Prepared, join, prepare_event

BEAT_S = 0.02
"""How long tenant deltas gather: far below what a person notices, long enough that a connect storm of n users costs each
viewer some writes rather than n."""

MEETING = 100
"""Participants of a room, at most, who learn at once who of them is online when only contacts do. That each is told of each
is quadratic; in larger rooms they learn it as changes come, and from their next snapshot."""

MEETINGS = 1_000
"""Bound on the meetings that wait for a beat; those above it are for the next snapshot, too."""

ASKED_AT_ONCE = 50
"""Contacts looked up before the loop turns to others: a node that has died takes all its users offline in one beat."""

AGAIN_S = 1.0
"""When to try again what could not be told, because the store is away."""

encode = msgspec.json.encode

log = structlog.get_logger(__name__)


class Contacts(Protocol):
    """Who shares a room with whom: what the scope ``contacts`` asks (the store answers)."""

    async def contacts(self, tenant_id: str, user_id: str, *, max_room: int) -> frozenset[str]: ...


class Policy(msgspec.Struct, frozen=True):
    """Who sees a tenant's presence (contract D9).

    Attributes:
        scope: ``tenant`` (everybody), ``contacts`` (those who share a room), or ``auto``: the first up to
            ``tenant_limit`` users online, the second above.
        tenant_limit: also the most participants of a room whose members count as each other's contacts.
    """

    scope: Literal["auto", "tenant", "contacts"]
    tenant_limit: int


class Presence:
    """Counts sessions per user, keeps the grace, and tells the viewers.

    Args:
        policy_of: the policy that holds for a tenant now.
    """

    def __init__(
        self,
        *,
        hub: Hub,
        fanout: Fanout,
        gossip: Gossip,
        wheel: Wheel,
        contacts: Contacts,
        policy_of: Callable[[str], Awaitable[Policy]],
        grace: Grace,
    ) -> None:
        self._hub = hub
        self._fanout = fanout
        self._wheel = wheel
        self._contacts = contacts
        self._policy_of = policy_of
        self._grace = grace
        self._online = gossip.places("tenant", self._heard_online)  # those in grace included, as in rooms
        self._in_room = gossip.places("room", self._heard_in_room)
        self._leaving: dict[tuple[str, str], Timer] = {}  # (tenant, user) whose last session here has gone
        self._room_leaving: dict[str, dict[str, Timer]] = {}  # room -> user, likewise
        self._changed: dict[str, dict[str, bool]] = {}  # tenant -> user -> online, since the last beat
        self._met: list[tuple[str, frozenset[str], tuple[str, ...]]] = []  # since the last beat
        self._beat = trio.Event()

    # tenant presence

    def arrived(self, session: Session) -> None:
        """A session has been added to the hub."""
        tenant_id, user_id = session.tenant_id, session.user_id
        timer = self._leaving.pop((tenant_id, user_id), None)
        if timer is not None:
            timer.cancel()
            return
        if self._online.enter(tenant_id, user_id):
            self._note(tenant_id, user_id, online=True)

    def departed(self, session: Session, *, last: bool) -> None:
        """A session has been removed from the hub; ``last`` if it was its user's only one."""
        if not last:
            return
        key = (session.tenant_id, session.user_id)
        self._leaving[key] = self._grace.begin(self._gone, *key)

    def _gone(self, tenant_id: str, user_id: str) -> None:
        del self._leaving[tenant_id, user_id]
        if self._online.leave(tenant_id, user_id):
            self._note(tenant_id, user_id, online=False)

    def _heard_online(self, changes: list[Change], healed: bool) -> None:
        for tenant_id, user_id, online in changes:
            self._note(tenant_id, user_id, online=online)

    def _note(self, tenant_id: str, user_id: str, *, online: bool) -> None:
        self._changed.setdefault(tenant_id, {})[user_id] = online
        self._beat.set()

    def met(self, tenant_id: str, newcomers: Collection[str], everybody: Collection[str]) -> None:
        """These users share a room now, with the newcomers among them: where only contacts see each other, they do."""
        if len(everybody) <= MEETING and len(self._met) < MEETINGS:
            self._met.append((tenant_id, frozenset(newcomers), tuple(everybody)))
            self._beat.set()

    async def snapshot(self, tenant_id: str, user_id: str) -> bytes:
        """The payload of ``tenant-presence-snapshot`` for this viewer, who is always in it (contract 4.4)."""
        policy = await self._policy_of(tenant_id)
        if self._is_tenant_wide(tenant_id, policy):
            online = self._online.here(tenant_id)
            return encode({"onlineUserIds": [*online] if user_id in online else [*online, user_id]})
        known = await self._contacts.contacts(tenant_id, user_id, max_room=policy.tenant_limit)
        return encode({"onlineUserIds": [*(self._online.here(tenant_id) & known | {user_id})]})

    def _is_tenant_wide(self, tenant_id: str, policy: Policy) -> bool:
        if policy.scope == "auto":
            return len(self._online.here(tenant_id)) <= policy.tenant_limit
        return policy.scope == "tenant"

    async def run(self) -> None:
        """Tell the viewers what has changed, beat by beat, for ever."""
        while True:
            await self._beat.wait()
            await trio.sleep(BEAT_S)
            self._beat = trio.Event()
            changed, self._changed = self._changed, {}
            for tenant_id, users in changed.items():
                if not await self._carefully(tenant_id, self._tell(tenant_id, users)):
                    self._changed[tenant_id] = users | self._changed.get(tenant_id, {})
                    self._wheel.after(AGAIN_S, self._beat_again)
            met, self._met = self._met, []
            for tenant_id, newcomers, everybody in met:
                await self._carefully(tenant_id, self._introduce(tenant_id, newcomers, everybody))

    def _beat_again(self) -> None:
        self._beat.set()

    @staticmethod
    async def _carefully(tenant_id: str, telling: Awaitable[None]) -> bool:
        """False if it could not be told now."""
        try:
            await telling
        except Unavailable as error:
            log.warning("presence not told yet", tenant_id=tenant_id, error=error.message)
            return False
        except Exception:
            # The one boundary of presence. These deltas are lost; viewers are right again with their next snapshot.
            log.exception("presence not told", tenant_id=tenant_id)
        return True

    async def _introduce(self, tenant_id: str, newcomers: frozenset[str], everybody: tuple[str, ...]) -> None:
        policy = await self._policy_of(tenant_id)
        if self._is_tenant_wide(tenant_id, policy) or len(everybody) > policy.tenant_limit:
            return
        online = self._online.here(tenant_id)
        for user_id in everybody:
            if user_id in online:
                told = everybody if user_id in newcomers else [*newcomers]
                payload = encode({"userId": user_id, "online": True})
                self._fanout.to_users(tenant_id, told, "tenant-presence", payload, but=user_id)

    async def _tell(self, tenant_id: str, users: dict[str, bool]) -> None:
        if not self._hub.users(tenant_id):
            return  # they are all on other nodes
        policy = await self._policy_of(tenant_id)
        if self._is_tenant_wide(tenant_id, policy):
            self._tell_all(tenant_id, users)
        else:
            await self._tell_contacts(tenant_id, users, policy.tenant_limit)

    def _tell_all(self, tenant_id: str, users: dict[str, bool]) -> None:
        sessions = [s for mine in self._hub.users(tenant_id).values() for s in mine]
        if sessions:
            deltas = join(
                [_delta("tenant-presence", user_id, online=online) for user_id, online in users.items()]
            )
            Outbox.put_all([session.outbox for session in sessions], deltas)

    async def _tell_contacts(self, tenant_id: str, users: dict[str, bool], max_room: int) -> None:
        for number, (user_id, online) in enumerate(users.items(), 1):
            if number % ASKED_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
            known = await self._contacts.contacts(tenant_id, user_id, max_room=max_room)
            delta = _delta("tenant-presence", user_id, online=online)
            for session in self._hub.sessions_of(tenant_id, known):
                session.outbox.put(delta)

    # room presence

    def enter(self, session: Session, room_id: str, *, again: bool = False) -> None:
        """The session opens a room: others who have it open learn of the user, the session gets the list of all.
        Opening the room that is open already only answers again.

        Args:
            again: its client has come back and knows that it has the room open.
        """
        first = session.room_id != room_id and self._hub.enter(session, room_id)
        leaving = self._room_leaving.get(room_id, {})
        if session.user_id in leaving:
            leaving[session.user_id].cancel()
            self._forget_leaving(room_id, session.user_id)
        elif first and self._in_room.enter(room_id, session.user_id):
            payload = encode({"userId": session.user_id, "online": True})
            self._fanout.to_present(room_id, "presence", payload, but=session)
        if not again:
            session.outbox.put(prepare_event("joined-room", encode({"roomId": room_id})))
        present = encode({"onlineUserIds": [*self._in_room.here(room_id)]})
        session.outbox.put(prepare_event("presence-snapshot", present))

    def leave(self, session: Session) -> None:
        """The session leaves its active room by the client's own wish."""
        room_id = session.room_id
        if room_id is None:
            return
        if self._hub.leave(session) and self._in_room.leave(room_id, session.user_id):
            self._tell_in_room(room_id, session.user_id, here=False)
        session.outbox.put(prepare_event("left-room", encode({"roomId": room_id})))

    def expel(self, tenant_id: str, user_id: str, room_id: str) -> None:
        """The user may not be in the room any more: the sessions that have it open leave it, and no grace holds."""
        for session in self._hub.sessions_of(tenant_id, (user_id,)):
            if session.room_id == room_id:
                self.leave(session)
        timer = self._room_leaving.get(room_id, {}).get(user_id)
        if timer is not None:
            timer.cancel()
            self._room_gone(room_id, user_id)

    def dropped(self, session: Session) -> None:
        """The session has gone with a room open: the grace holds here too."""
        room_id = session.room_id
        if room_id is None or not self._hub.leave(session):
            return
        user_id = session.user_id
        timer = self._grace.begin(self._room_gone, room_id, user_id)
        self._room_leaving.setdefault(room_id, {})[user_id] = timer

    def _room_gone(self, room_id: str, user_id: str) -> None:
        self._forget_leaving(room_id, user_id)
        if self._in_room.leave(room_id, user_id):
            self._tell_in_room(room_id, user_id, here=False)

    def _forget_leaving(self, room_id: str, user_id: str) -> None:
        leaving = self._room_leaving[room_id]
        del leaving[user_id]
        if not leaving:
            del self._room_leaving[room_id]

    def _heard_in_room(self, changes: list[Change], healed: bool) -> None:
        for room_id, user_id, here in changes:
            self._tell_in_room(room_id, user_id, here=here)

    def _tell_in_room(self, room_id: str, user_id: str, *, here: bool) -> None:
        self._fanout.to_present(room_id, "presence", encode({"userId": user_id, "online": here}))

    def statistics(self) -> dict[str, int]:
        return {"online": self._online.count(), "grace": len(self._leaving)}


def _delta(event: str, user_id: str, *, online: bool) -> Prepared:
    return prepare_event(event, encode({"userId": user_id, "online": online}))
