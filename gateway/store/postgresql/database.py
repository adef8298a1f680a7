"""The database in PostgreSQL, over a few connections that write and a few that read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar
from zlib import crc32

import trio

from gateway.config import StoreSettings
from gateway.store.connection import Cursor
from gateway.store.postgresql import full_text
from gateway.store.postgresql.readers import Readers
from gateway.store.postgresql.session import STATEMENT_MS
from gateway.store.postgresql.writer import Lane
from gateway.store.searching import FullText

T = TypeVar("T")

# A server that does not answer at all would keep its askers for ever: a bit more than its slowest statement.
ANSWER_S: Final = STATEMENT_MS / 1_000 + 2.0


class ServerDatabase:
    """``gateway.store.operations.base.Database`` on a server. Made by :func:`open_server`."""

    def __init__(
        self, *, lanes: list[Lane], readers: Readers, slow_readers: Readers, answer_s: float
    ) -> None:
        self._lanes = lanes
        self._readers = readers
        self._slow_readers = slow_readers
        self._answer_s = answer_s
        self.full_text: FullText = full_text

    async def write(
        self, tenant_id: str | None, job: Callable[[Cursor], T], then: Callable[[T], None] | None
    ) -> T:
        """By the tenant's own lane, which keeps its writes in order.

        Raises:
            Unavailable: see ``Lane.write``.
        """
        lane = self._lanes[crc32(tenant_id.encode()) % len(self._lanes) if tenant_id else 0]
        return await lane.write(job, then, tenant_id=tenant_id, within_s=self._answer_s)

    def read(self, query: Callable[[Cursor], T], *, together: bool) -> Awaitable[T]:
        return self._readers.read(query, together=together, within_s=self._answer_s)

    def read_aside(self, query: Callable[[Cursor], T], *, within_s: float) -> Awaitable[T]:
        return self._slow_readers.read(query, together=True, within_s=within_s)

    def is_writing(self) -> bool:
        return any(lane.busy for lane in self._lanes)

    def statistics(self) -> dict[str, float]:
        total: dict[str, float] = {"reads_waiting": self._readers.waiting + self._slow_readers.waiting}
        for lane in self._lanes:
            for name, value in lane.statistics().items():
                total[name] = total.get(name, 0) + value
        total["writes_per_commit"] = total["writes"] / total["commits"] if total["commits"] else 0.0
        return total

    async def close(self) -> None:
        async with trio.open_nursery() as nursery:
            for lane in self._lanes:
                nursery.start_soon(lane.close)
        self._readers.close()
        self._slow_readers.close()


@asynccontextmanager
async def open_server(
    url: str, *, settings: StoreSettings, answer_s: float = ANSWER_S
) -> AsyncIterator[ServerDatabase]:
    """The database at ``url``, which has the current schema.

    Leaving the block finishes the queued writes and closes the connections.

    Args:
        answer_s: how long anybody waits for a server that may never answer.
    """
    lanes = [Lane(url, waiting_limit=settings.waiting_writes) for _ in range(settings.writers)]
    database = ServerDatabase(
        lanes=lanes,
        readers=Readers(url, connections=settings.readers),
        slow_readers=Readers(url, connections=max(1, settings.readers // 2)),
        answer_s=answer_s,
    )
    try:
        yield database
    finally:
        await database.close()
