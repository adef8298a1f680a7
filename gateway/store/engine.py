"""The SQLite store: the port, over one connection that reads and one that writes.

Reads run inline on the event loop: they are bounded, indexed, and take tens of microseconds, less than any
hand-over to a thread. Writes go through ``writer``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import trio

from gateway.config import StoreSettings
from gateway.errors import Unavailable
from gateway.records import now_ms
from gateway.store.connection import connect
from gateway.store.migrate import migrate
from gateway.store.operations.accounts import AccountOperations
from gateway.store.operations.changes import ChangeOperations
from gateway.store.operations.messages import MessageOperations
from gateway.store.operations.participants import ParticipantOperations
from gateway.store.operations.push import PushOperations
from gateway.store.operations.rooms import RoomOperations
from gateway.store.rosters import Rosters
from gateway.store.writer import open_writer

# How long the store may take to commit nothing before it counts as not writable.
READY_S = 2.0
# How long the end waits for the last checkpoint; what it leaves undone, the next start finds in the WAL.
CLOSE_S = 10.0


@asynccontextmanager
async def open_store(
    path: Path, *, settings: StoreSettings, clock: Callable[[], int] = now_ms
) -> AsyncIterator[SqliteStore]:
    """The store in the database file at ``path``, which is created or migrated first.

    Leaving the block finishes the queued writes and closes the file.

    Args:
        clock: milliseconds since the epoch.

    Raises:
        apsw.Error: the file cannot be used.
    """
    await trio.to_thread.run_sync(migrate, path)
    kept = Rosters()
    writes = connect(path, synchronous=settings.synchronous)
    try:
        with closing(connect(path, read_only=True)) as reader:
            async with open_writer(
                writes, waiting_limit=settings.waiting_writes, rolled_back=kept.forget
            ) as writer:
                yield SqliteStore(reader=reader, writer=writer, rosters=kept, clock=clock)
    finally:
        # The last connection to close copies the WAL into the database, which takes a while.
        with trio.move_on_after(CLOSE_S, shield=True):
            await trio.to_thread.run_sync(writes.close, abandon_on_cancel=True)


class SqliteStore(
    AccountOperations,
    RoomOperations,
    ParticipantOperations,
    MessageOperations,
    ChangeOperations,
    PushOperations,
):
    """``gateway.store.ports.Store`` in one SQLite file. Made by :func:`open_store`."""

    async def is_writable(self) -> bool:
        with trio.move_on_after(READY_S):
            try:
                await self._write(lambda db: None)
            except Unavailable:
                return False
            return True
        return False

    def statistics(self) -> dict[str, float]:
        return self._writer.statistics()
