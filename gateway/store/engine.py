"""Opening the store: the port's operations over the database that the settings name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import trio

from gateway.config import StoreSettings
from gateway.errors import Unavailable
from gateway.records import now_ms
from gateway.store.migrate import migrate
from gateway.store.operations.accounts import AccountOperations
from gateway.store.operations.base import Database
from gateway.store.operations.calls import CallOperations
from gateway.store.operations.changes import ChangeOperations
from gateway.store.operations.log import LogOperations
from gateway.store.operations.messages import MessageOperations
from gateway.store.operations.participants import ParticipantOperations
from gateway.store.operations.push import PushOperations
from gateway.store.operations.revocations import RevocationOperations
from gateway.store.operations.rooms import RoomOperations
from gateway.store.operations.search import SearchOperations
from gateway.store.operations.uploads import UploadOperations
from gateway.store.rosters import Rosters
from gateway.store.sqlite.database import open_file

# How long the store may take to commit nothing before it counts as not writable.
READY_S = 2.0


@asynccontextmanager
async def open_store(
    where: Path | str, *, settings: StoreSettings, native: bool = True, clock: Callable[[], int] = now_ms
) -> AsyncIterator[SqlStore]:
    """The store in an SQLite file, which is created or migrated first, or in a PostgreSQL database.

    Leaving the block finishes the queued writes and closes the database.

    Args:
        where: the path of the file, or the URL of the database.
        native: with what has been compiled, where it has been.
        clock: milliseconds since the epoch.

    Raises:
        apsw.Error: the file cannot be used.
        ConfigError: the server cannot be used.
    """
    await trio.to_thread.run_sync(migrate, where)
    async with _open_database(where, settings, native) as database:
        yield SqlStore(database=database, rosters=Rosters(), clock=clock)


def _open_database(
    where: Path | str, settings: StoreSettings, native: bool
) -> AbstractAsyncContextManager[Database]:
    if isinstance(where, Path):
        return open_file(where, settings=settings, native=native)
    from gateway.store.postgresql.database import open_server  # psycopg is an extra

    return open_server(where, settings=settings)


class SqlStore(
    AccountOperations,
    RoomOperations,
    ParticipantOperations,
    MessageOperations,
    ChangeOperations,
    LogOperations,
    PushOperations,
    CallOperations,
    RevocationOperations,
    SearchOperations,
    UploadOperations,
):
    """``gateway.store.ports.Store`` in SQL. Made by :func:`open_store`."""

    async def is_writable(self) -> bool:
        with trio.move_on_after(READY_S):
            try:
                await self._write(None, lambda db: None)
            except Unavailable:
                return False
            return True
        return False

    def is_writing(self) -> bool:
        return self._database.is_writing()

    def statistics(self) -> dict[str, float]:
        return self._database.statistics()
