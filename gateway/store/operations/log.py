"""The log, and the sockets that come back for it."""

from __future__ import annotations

from collections.abc import Callable, Collection

from gateway.records import LogEvent, LogSpan, Return
from gateway.store import log, sockets
from gateway.store.operations.base import Operations


class LogOperations(Operations):
    """``gateway.store.ports.Log`` in SQL."""

    async def log_span(self, tenant_id: str) -> LogSpan:
        return await self._read(lambda db: sockets.span(db, tenant_id))

    async def log_heads(self, tenant_ids: Collection[str]) -> dict[str, int]:
        return await self._read(lambda db: log.heads(db, list(tenant_ids)))

    async def events_after(self, tenant_id: str, number: int, *, limit: int) -> list[LogEvent]:
        return await self._read(lambda db: log.after(db, tenant_id, number, limit), together=True)

    async def missed_events(
        self, tenant_id: str, user_id: str, *, after: int, until: int, limit: int
    ) -> list[LogEvent] | None:
        return await self._read(
            lambda db: log.missed(db, tenant_id, user_id, after=after, until=until, limit=limit)
        )

    async def outdated_logs(self, *, before: int) -> list[str]:
        return await self._read(lambda db: log.outdated(db, before))

    async def sweep_log(self, tenant_id: str, *, before: int, limit: int) -> bool:
        return await self._write(tenant_id, lambda db: log.sweep(db, tenant_id, before=before, limit=limit))

    async def returning(self, tenant_id: str, socket_id: str) -> Return:
        return await self._read(lambda db: sockets.returning(db, tenant_id, socket_id))

    async def open_room(
        self,
        tenant_id: str,
        user_id: str,
        socket_id: str,
        room_id: str | None,
        *,
        then: Callable[[None], None] | None = None,
    ) -> None:
        await self._write(
            tenant_id,
            lambda db: sockets.open_room(db, tenant_id, user_id, socket_id, room_id, self._clock()),
            then,
        )

    async def forget_sockets(self, *, before: int, limit: int) -> int:
        return await self._write(None, lambda db: sockets.forget(db, before=before, limit=limit))
