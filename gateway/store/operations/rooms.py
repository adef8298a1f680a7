"""Rooms."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.records import RoomDetail, RoomPage, Roster
from gateway.store import rooms, rosters
from gateway.store.operations.base import Operations
from gateway.store.ports import CreatedRoom, Once, RoomChange, RoomDraft


class RoomOperations(Operations):
    """``gateway.store.ports.Rooms`` in SQL."""

    async def rooms_page(
        self,
        tenant_id: str,
        *,
        viewer_id: str | None,
        participant_id: str | None = None,
        external_id: str | None = None,
        custom_types: Sequence[str] = (),
        limit: int = 50,
        cursor: str | None = None,
    ) -> RoomPage:
        return await self._read(
            lambda db: rooms.page(
                db,
                tenant_id,
                viewer_id=viewer_id,
                participant_id=participant_id,
                external_id=external_id,
                custom_types=custom_types,
                limit=limit,
                cursor=cursor,
            )
        )

    async def room(self, tenant_id: str, room_id: str, *, viewer_id: str | None) -> RoomDetail | None:
        return await self._read(lambda db: rooms.find(db, tenant_id, room_id, viewer_id), together=True)

    async def roster(self, tenant_id: str, room_id: str) -> Roster | None:
        return await self._read(lambda db: rosters.find(db, self._rosters, tenant_id, room_id), together=True)

    async def contacts(self, tenant_id: str, user_id: str, *, max_room: int) -> frozenset[str]:
        return await self._read(lambda db: rosters.contacts(db, tenant_id, user_id, max_room))

    async def create_room(
        self,
        draft: RoomDraft,
        *,
        then: Callable[[CreatedRoom], None] | None = None,
        once: Once[CreatedRoom] | None = None,
    ) -> CreatedRoom:
        return await self._write(
            draft.tenant_id, lambda db: rooms.create(db, draft, self._clock()), then, once
        )

    async def change_room(
        self,
        tenant_id: str,
        room_id: str,
        change: RoomChange,
        *,
        actor_id: str | None,
        then: Callable[[RoomDetail], None] | None = None,
        once: Once[RoomDetail] | None = None,
    ) -> RoomDetail:
        return await self._write(
            tenant_id, lambda db: rooms.change(db, tenant_id, room_id, change, actor_id), then, once
        )
