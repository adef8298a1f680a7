"""Calls."""

from __future__ import annotations

from collections.abc import Callable

from gateway.errors import GatewayError
from gateway.store import call_rows, calls
from gateway.store.operations.base import Operations
from gateway.store.ports import Once
from signaling.call import Call
from signaling.errors import CallError
from signaling.ports import Changed, Room, Step, Stray


class CallOperations(Operations):
    """``signaling.ports.CallStore`` in SQL."""

    async def room_and_call(
        self, tenant_id: str, room_id: str, call_id: str | None = None
    ) -> tuple[Call | None, Room]:
        return await self._read(
            lambda db: calls.look(db, self._rosters, tenant_id, room_id, call_id), together=True
        )

    async def change_call(
        self,
        tenant_id: str,
        room_id: str,
        call_id: str | None,
        step: Step,
        *,
        then: Callable[[Changed], None],
        once: Once[Changed] | None = None,
    ) -> Changed:
        try:
            return await self._write(
                tenant_id,
                lambda db: calls.change(db, self._rosters, tenant_id, room_id, call_id, step, self._clock()),
                then,
                once,
            )
        except GatewayError as error:
            if isinstance(error.__cause__, CallError):
                raise error.__cause__ from None
            raise

    async def call(self, call_id: str) -> Call | None:
        return await self._read(lambda db: call_rows.find(db, call_id), together=True)

    async def live_media_rooms(self) -> list[str]:
        return await self._read(call_rows.live_media_rooms)

    async def calls_page(
        self, tenant_id: str, room_id: str, *, viewer_id: str | None, limit: int, cursor: str | None
    ) -> tuple[list[Call], str | None]:
        return await self._read(
            lambda db: call_rows.page(
                db, tenant_id, room_id, viewer_id=viewer_id, limit=limit, cursor=cursor
            ),
            together=True,
        )

    async def calls_ringing_for(self, tenant_id: str, user_id: str) -> list[Call]:
        return await self._read(lambda db: call_rows.ringing_for(db, tenant_id, user_id), together=True)

    async def due_calls(self, now: int, *, limit: int) -> list[Call]:
        return await self._read(lambda db: call_rows.due(db, now, limit), together=True)

    async def call_strays(self, *, room_id: str | None = None, limit: int) -> list[Stray]:
        return await self._read(lambda db: call_rows.strays(db, room_id, limit))
