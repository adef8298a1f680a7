"""Who is in a room: joining, leaving, roles, and putting a room out of one's own sight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from gateway.chat.limits import Limiter
from gateway.chat.ports import Departures, Fanout, Sockets
from gateway.chat.rooms import Rosters, as_named_by_a_user
from gateway.config import Limits
from gateway.records import Role, RoomDetail
from gateway.store.ports import NewParticipant, Once, RosterChange, Store


class DeletedForMe(msgspec.Struct, frozen=True, rename="camel"):
    """What became of a room that a user has put out of his sight."""

    room_id: str
    action: Literal["left", "hidden"]
    left: bool
    hidden: bool


class ClearedHistory(msgspec.Struct, frozen=True, rename="camel"):
    room_id: str
    cleared_at: str


class Participants:
    """What REST offers on participants.

    A change of a roster holds from its commit on: right then, before anything else runs, the rosters that
    sockets are judged by are forgotten, the connections of who was removed leave the room, everyone
    concerned is told, and those who are in the room get the message that tells of it.
    """

    def __init__(
        self,
        *,
        store: Store,
        rosters: Rosters,
        fanout: Fanout,
        sockets: Sockets,
        calls: Departures,
        limiter: Limiter,
        limits: Limits,
    ) -> None:
        self._store = store
        self._rosters = rosters
        self._fanout = fanout
        self._sockets = sockets
        self._calls = calls
        self._limiter = limiter
        self._limits = limits

    async def add(
        self,
        tenant_id: str,
        room_id: str,
        person: NewParticipant,
        *,
        actor_id: str | None,
        by_server: bool = False,
        once: Once[RosterChange] | None = None,
    ) -> RoomDetail:
        """Let somebody in, who is made if there is no such user. Who is in already stays as he is.

        Args:
            actor_id: in whose name; the tenant's backend (``by_server``) need not say, and may do this to any
                room.

        Raises:
            RateLimited: a user did this, which sends a message, more than ``limits.send_message`` allows.
            NotFound: no such room, or the actor is not in it.
            Forbidden: the actor is not an operator, or it is a direct conversation.
            InvalidRequest: the room is full.
        """
        if actor_id is not None and not by_server:
            self._limiter.require(tenant_id, actor_id, "send-message")
            person = await as_named_by_a_user(self._store, tenant_id, person)
        change = await self._store.add_participant(
            tenant_id,
            room_id,
            person,
            actor_id=actor_id,
            by_server=by_server,
            max_participants=self._limits.room_participants,
            then=self._announce(tenant_id),
            once=once,
        )
        return change.room

    async def remove(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        actor_id: str | None,
        by_server: bool = False,
        once: Once[RosterChange] | None = None,
    ) -> RoomDetail:
        """Leave (the actor is the user), or remove somebody; returns the room with those who stay.

        Raises:
            RateLimited: a user removed others, which sends messages, more than ``limits.send_message`` allows.
            NotFound: no such room, or the actor is not in it.
            Forbidden: the actor is not an operator and removes somebody else.
        """
        # To leave is always free; a room can be left only once.
        if actor_id is not None and actor_id != user_id and not by_server:
            self._limiter.require(tenant_id, actor_id, "send-message")
        change = await self._store.remove_participant(
            tenant_id,
            room_id,
            user_id,
            actor_id=actor_id,
            by_server=by_server,
            then=self._announce(tenant_id),
            once=once,
        )
        return change.room

    async def change_role(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        role: Role,
        *,
        actor_id: str | None,
        once: Once[RoomDetail] | None = None,
    ) -> RoomDetail:
        """Make a participant an operator or a member; the contract has no event that would tell of it.

        Raises:
            NotFound: no such room, or the actor or the user is not in it.
            Forbidden: the actor is not an operator (the tenant's backend, None, may).
            Conflict: the room would be left without an operator.
        """
        return await self._store.change_role(tenant_id, room_id, user_id, role, actor_id=actor_id, once=once)

    async def delete_for(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        once: Once[RosterChange | None] | None = None,
    ) -> RosterChange | None:
        """Leave a group, or hide a direct conversation until its next message (None); either way what was
        said so far is gone for this user, and for nobody else.

        Raises:
            NotFound: no such room, or the user is not in it.
        """
        announce = self._announce(tenant_id)

        def then(change: RosterChange | None) -> None:
            if change is not None:
                announce(change)

        return await self._store.delete_room_for(tenant_id, room_id, user_id, then=then, once=once)

    async def clear_history(
        self, tenant_id: str, room_id: str, user_id: str, *, once: Once[str] | None = None
    ) -> str:
        """Make what was said so far disappear for this user alone; returns when, in ISO-8601.

        Raises:
            NotFound: no such room, or the user is not in it.
        """
        return await self._store.clear_history(tenant_id, room_id, user_id, once=once)

    def _announce(self, tenant_id: str) -> Callable[[RosterChange], None]:
        def announce(change: RosterChange) -> None:
            membership = change.membership
            if membership is None:
                return
            room_id = change.room.id
            self._rosters.forget(room_id)
            if membership.action != "joined":
                self._sockets.expel(tenant_id, membership.target_user_id, room_id)
                self._calls.left(room_id)
            for event in change.events:
                self._fanout.tell(tenant_id, event)
            if membership.action == "joined":
                everybody = [participant.user_id for participant in change.room.participants]
                self._sockets.met(tenant_id, [membership.target_user_id], everybody)

        return announce
