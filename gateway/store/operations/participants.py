"""Participants."""

from __future__ import annotations

from collections.abc import Callable

from gateway.records import Role, RoomDetail
from gateway.store import clearing, participants
from gateway.store.operations.base import Operations
from gateway.store.ports import NewParticipant, Once, RosterChange


class ParticipantOperations(Operations):
    """``gateway.store.ports.Participants`` in SQL."""

    async def add_participant(
        self,
        tenant_id: str,
        room_id: str,
        person: NewParticipant,
        *,
        actor_id: str | None,
        by_server: bool = False,
        max_participants: int = 1000,
        then: Callable[[RosterChange], None] | None = None,
        once: Once[RosterChange] | None = None,
    ) -> RosterChange:
        return await self._write(
            tenant_id,
            lambda db: participants.add(
                db,
                self._rosters,
                tenant_id,
                room_id,
                person,
                actor_id=actor_id,
                by_server=by_server,
                max_participants=max_participants,
                now=self._clock(),
            ),
            then,
            once,
        )

    async def remove_participant(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        actor_id: str | None,
        by_server: bool = False,
        then: Callable[[RosterChange], None] | None = None,
        once: Once[RosterChange] | None = None,
    ) -> RosterChange:
        return await self._write(
            tenant_id,
            lambda db: participants.remove(
                db,
                self._rosters,
                tenant_id,
                room_id,
                user_id,
                actor_id=actor_id,
                by_server=by_server,
                now=self._clock(),
            ),
            then,
            once,
        )

    async def change_role(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        role: Role,
        *,
        actor_id: str | None,
        then: Callable[[RoomDetail], None] | None = None,
        once: Once[RoomDetail] | None = None,
    ) -> RoomDetail:
        return await self._write(
            tenant_id,
            lambda db: participants.change_role(db, tenant_id, room_id, user_id, role, actor_id=actor_id),
            then,
            once,
        )

    async def delete_room_for(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        then: Callable[[RosterChange | None], None] | None = None,
        once: Once[RosterChange | None] | None = None,
    ) -> RosterChange | None:
        return await self._write(
            tenant_id,
            lambda db: clearing.delete_room_for(
                db, self._rosters, tenant_id, room_id, user_id, now=self._clock()
            ),
            then,
            once,
        )

    async def clear_history(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        then: Callable[[str], None] | None = None,
        once: Once[str] | None = None,
    ) -> str:
        return await self._write(
            tenant_id,
            lambda db: clearing.clear_history(db, tenant_id, room_id, user_id, now=self._clock()),
            then,
            once,
        )
