"""Rooms: making, changing and showing them, and knowing who is in them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.chat.ports import Sockets
from gateway.config import Limits
from gateway.delivery.peers import Peers
from gateway.errors import InvalidRequest, no_such_room
from gateway.records import RoomDetail, RoomPage, Roster
from gateway.store.ports import CreatedRoom, NewParticipant, Once, RoomChange, RoomDraft, Store

METADATA_BYTES = 16_384


class Rosters:
    """A bounded cache of who is in which room, for authorisation that must not wait (socket events).

    A roster is read from the store when it is first asked for and forgotten when it changes, on all nodes. If the word of
    another node was lost, which may have been of any roster, all are forgotten.

    Args:
        bound: how many participants to keep, some 100 bytes each, a room itself counted as one; the roster loaded longest
            ago goes first.
    """

    def __init__(self, *, store: Store, peers: Peers, bound: int = 500_000) -> None:
        self._store = store
        self._bound = bound
        self._rosters: dict[str, Roster] = {}
        self._participants = 0
        self._changes = 0
        self._peers = peers
        peers.listen("roster", lambda _, room_id: self._forget(room_id.decode()))
        peers.on_missed(self._forget_all)

    def cached(self, tenant_id: str, room_id: str) -> Roster | None:
        """The roster, if it is at hand; None says nothing about whether the room exists."""
        roster = self._rosters.get(room_id)
        return roster if roster is not None and roster.tenant_id == tenant_id else None

    async def load(self, tenant_id: str, room_id: str) -> Roster | None:
        """The roster; None when the tenant has no such room."""
        roster = self.cached(tenant_id, room_id)
        if roster is not None:
            return roster
        changes = self._changes
        roster = await self._store.roster(tenant_id, room_id)
        # What was read while some roster changed may be the state before that change: good for this caller,
        # who asked before it, but not to be kept.
        if roster is not None and changes == self._changes:
            self._keep(roster)
        return roster

    async def require_participant(self, tenant_id: str, room_id: str, user_id: str) -> Roster:
        """The roster of a room that this user is in.

        Raises:
            NotFound: no such room, or the user is not in it; the two look the same.
        """
        roster = await self.load(tenant_id, room_id)
        if roster is None or user_id not in roster.members:
            raise no_such_room()
        return roster

    def forget(self, room_id: str) -> None:
        """The room's roster or frozen state has changed: read it anew."""
        self._forget(room_id)
        self._peers.say("roster", room_id.encode())

    def _forget(self, room_id: str) -> None:
        self._changes += 1
        self._drop(room_id)

    def _forget_all(self, node_id: str) -> None:
        self._changes += 1
        self._rosters.clear()
        self._participants = 0

    def _keep(self, roster: Roster) -> None:
        self._drop(roster.room_id)  # another may have loaded it meanwhile
        self._rosters[roster.room_id] = roster
        self._participants += len(roster.user_ids) + 1
        while self._participants > self._bound:
            self._drop(next(iter(self._rosters)))

    def _drop(self, room_id: str) -> None:
        roster = self._rosters.pop(room_id, None)
        if roster is not None:
            self._participants -= len(roster.user_ids) + 1


class Rooms:
    """What REST offers on rooms."""

    def __init__(self, *, store: Store, rosters: Rosters, sockets: Sockets, limits: Limits) -> None:
        self._store = store
        self._sockets = sockets
        self._rosters = rosters
        self._limits = limits

    async def page(
        self,
        tenant_id: str,
        *,
        viewer_id: str | None,
        participant_id: str | None,
        external_id: str | None,
        custom_types: Sequence[str],
        limit: int,
        cursor: str | None,
    ) -> RoomPage:
        """The viewer's rooms, or all of the tenant's for its backend; newest activity first."""
        return await self._store.rooms_page(
            tenant_id,
            viewer_id=viewer_id,
            participant_id=participant_id,
            external_id=external_id,
            custom_types=custom_types,
            limit=limit,
            cursor=cursor,
        )

    async def detail(self, tenant_id: str, room_id: str, *, viewer_id: str | None) -> RoomDetail:
        """One room with its roster.

        Raises:
            NotFound: no such room, or the viewer is not in it.
        """
        room = await self._store.room(tenant_id, room_id, viewer_id=viewer_id)
        if room is None:
            raise no_such_room()
        return room

    async def create(self, draft: RoomDraft, *, once: Once[CreatedRoom] | None = None) -> CreatedRoom:
        """Make a room, or return the one that has this ``externalId`` already. Tells nobody (contract 10, row
        19).

        Raises:
            InvalidRequest: too few or too many participants, or metadata over its limit.
            Conflict: the ``externalId`` is that of a room the creator is not in.
        """
        _check_metadata(draft.metadata)
        participants = draft.participants
        if draft.creator_id is not None:
            participants = [
                await as_named_by_a_user(self._store, draft.tenant_id, entry) for entry in participants
            ]
        draft = msgspec.structs.replace(
            draft, participants=participants, max_participants=self._limits.room_participants
        )

        def then(made: CreatedRoom) -> None:
            if made.created:
                everybody = [participant.user_id for participant in made.room.participants]
                self._sockets.met(draft.tenant_id, everybody, everybody)

        return await self._store.create_room(draft, then=then, once=once)

    async def change(
        self,
        tenant_id: str,
        room_id: str,
        change: RoomChange,
        *,
        actor_id: str | None,
        once: Once[RoomDetail] | None = None,
    ) -> RoomDetail:
        """Change what is given of a room; no event tells of it, clients see it with the next list.

        Raises:
            NotFound: no such room, or the actor is not in it.
            Forbidden: the actor is not an operator.
            InvalidRequest: metadata over its limit.
        """
        if change.metadata is not msgspec.UNSET:
            _check_metadata(change.metadata)
        return await self._store.change_room(
            tenant_id,
            room_id,
            change,
            actor_id=actor_id,
            then=lambda _: self._rosters.forget(room_id),
            once=once,
        )


async def as_named_by_a_user(store: Store, tenant_id: str, entry: NewParticipant) -> NewParticipant:
    """A user may name people who are new, but only the tenant's backend renames those who are there."""
    if entry.username is None and entry.app_code is None:
        return entry
    if await store.user(tenant_id, entry.id) is None:
        return entry
    return NewParticipant(id=entry.id, role=entry.role)


def _check_metadata(metadata: dict[str, object] | None) -> None:
    # Metadata is part of every room list, the route that clients call most.
    if metadata is not None and len(msgspec.json.encode(metadata)) > METADATA_BYTES:
        raise InvalidRequest(f"metadata must be at most {METADATA_BYTES} bytes of JSON.")
