"""Copying the WAL into the database while commits go on.

SQLite begins its WAL anew only when all of it has been copied, which for thousands of pages takes some twenty
milliseconds, half of them until the disk has them; and nobody could commit meanwhile. So a second connection copies
beside the commits, and copies again what was committed meanwhile, until that is little. Only the rest has to be copied
between two commits.

Nothing depends on how far the copy has come: what is not copied yet, or not by all of a checkpoint, is read from the WAL.
"""

from __future__ import annotations

import ctypes
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import apsw
import structlog
import trio

from gateway.store.courier import Courier

# A rest as small as this is written to the disk in about the time of a commit.
FEW_PAGES = 256
# Commits that come faster than they are copied are not run after for ever.
PASSES = 5
# How long the end waits for a copy under way.
CLOSE_S = 10.0


class Copier:
    """A connection and a thread. Made by :func:`open_copier`."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._sync = _sync_of(db)
        self._log = structlog.get_logger(__name__)
        self._courier = Courier("store copier")

    def copy(self, done: Callable[[None], None]) -> None:
        """Bring what is committed into the database, down to a small rest, and report on the event loop."""
        self._courier.run(self._copy, done)

    def close(self) -> None:
        """Wait for a copy under way; end the thread and the connection."""
        self._courier.close()
        self._db.close()

    def _copy(self) -> None:
        before = 0
        for _ in range(PASSES):
            try:
                _, copied = self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            except apsw.Error as error:
                self._log.warning("a copy of the WAL failed", error=repr(error))
                return
            # While others commit a checkpoint leaves this to the one that copies the last page: there it would be
            # waited for. Should it fail, that one is told of it as well, since it has a descriptor of its own.
            self._sync()
            if copied - before < FEW_PAGES:
                return
            before = copied


@asynccontextmanager
async def open_copier(db: apsw.Connection) -> AsyncIterator[Copier]:
    """A copier with a connection that is its alone, and is closed at the end."""
    copier = Copier(db)
    try:
        yield copier
    finally:
        with trio.move_on_after(CLOSE_S, shield=True):
            await trio.to_thread.run_sync(copier.close, abandon_on_cancel=True)


class _Methods(ctypes.Structure):
    """The beginning of sqlite3_io_methods, SQLite's public table of what can be done with an open file."""

    _fields_ = (
        ("version", ctypes.c_int),
        *[(name, ctypes.c_void_p) for name in ("close", "read", "write", "truncate")],
        ("sync", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)),
    )


class _File(ctypes.Structure):
    """sqlite3_file."""

    _fields_ = (("methods", ctypes.POINTER(_Methods)),)


def _sync_of(db: apsw.Connection) -> Callable[[], object]:
    """What waits until the disk has the database.

    On SQLite's own descriptor: closing one that Python opened would give up the locks that SQLite holds on the file in this
    process.
    """
    file = ctypes.POINTER(_File)()
    db.file_control("main", apsw.SQLITE_FCNTL_FILE_POINTER, ctypes.addressof(file))
    sync = file.contents.methods.contents.sync
    return lambda: sync(file, apsw.SQLITE_SYNC_NORMAL | apsw.SQLITE_SYNC_DATAONLY)
