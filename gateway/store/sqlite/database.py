"""The database in one SQLite file, over one connection that reads and one that writes.

Reads run inline on the event loop: they are bounded, indexed, and take tens of microseconds, less than any
hand-over to a thread. Writes go through ``writer``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TypeVar

import apsw
import trio

from gateway.config import StoreSettings
from gateway.errors import Unavailable
from gateway.store.connection import Cursor
from gateway.store.groups import Write
from gateway.store.searching import FullText
from gateway.store.sqlite import full_text
from gateway.store.sqlite.aside import Aside, open_aside
from gateway.store.sqlite.connection import FAULTS, connect
from gateway.store.sqlite.copier import open_copier
from gateway.store.sqlite.gathering import gather_writes
from gateway.store.sqlite.writer import Writer, open_writer

T = TypeVar("T")

# How long the end waits for the last checkpoint; what it leaves undone, the next start finds in the WAL.
CLOSE_S = 10.0


class FileDatabase:
    """``gateway.store.operations.base.Database`` in a file. Made by :func:`open_file`."""

    def __init__(self, *, reader: apsw.Connection, writer: Writer, aside: Aside) -> None:
        self._reader = reader.cursor()
        self._writer = writer
        self._aside = aside
        self.full_text: FullText = full_text

    def write(
        self, tenant_id: str | None, job: Callable[[Cursor], T], then: Callable[[T], None] | None
    ) -> Write[T]:
        """There is one writer for all tenants, and nobody else's commits come between."""
        return self._writer.write(job, then)

    async def read(self, query: Callable[[Cursor], T], *, together: bool) -> T:
        db = self._reader
        try:
            if not together:
                return query(db)
            db.execute("BEGIN")
            try:
                return query(db)
            finally:
                db.execute("COMMIT")
        except FAULTS as error:
            raise Unavailable("The store cannot read now.") from error

    def read_aside(self, query: Callable[[Cursor], T], *, within_s: float) -> Awaitable[T]:
        """In a thread; see ``aside``."""
        return self._aside.read(query, within_s=within_s)

    def is_writing(self) -> bool:
        return self._writer.busy

    def statistics(self) -> dict[str, float]:
        return self._writer.statistics()


@asynccontextmanager
async def open_file(path: Path, *, settings: StoreSettings, native: bool) -> AsyncIterator[FileDatabase]:
    """The database at ``path``, which has the current schema.

    Leaving the block finishes the queued writes and closes the file.

    Raises:
        apsw.Error: the file cannot be used.
    """
    writes = connect(path, synchronous=settings.synchronous)
    try:
        if native and settings.synchronous == "full":
            gather_writes(writes)
        with closing(connect(path, read_only=True)) as reader:
            async with (
                open_aside(path) as aside,
                open_copier(connect(path)) as copier,
                open_writer(writes, copier=copier, waiting_limit=settings.waiting_writes) as writer,
            ):
                yield FileDatabase(reader=reader, writer=writer, aside=aside)
    finally:
        # The last connection to close copies the WAL into the database, which takes a while.
        with trio.move_on_after(CLOSE_S, shield=True):
            await trio.to_thread.run_sync(writes.close, abandon_on_cancel=True)
