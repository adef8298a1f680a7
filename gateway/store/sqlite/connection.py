"""Connections to SQLite: how they are opened, and what may befall them.

``apsw`` brings its own, current SQLite; the one Python links may carry the WAL bug fixed in 3.51.3. There is
one cursor per connection, because making one per statement costs as much as the statement.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import apsw

# Statements kept prepared per connection; we have fewer.
PREPARED = 256

# What the machine did to us, as against what a job did wrong.
FAULTS = (
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.FullError,
    apsw.IOError,
    apsw.LockedError,
    apsw.NoMemError,
    apsw.ReadOnlyError,
)


def connect(
    path: Path, *, busy_ms: int = 0, synchronous: Literal["full", "normal"] = "full", read_only: bool = False
) -> apsw.Connection:
    """Open the database file, which is created when missing.

    Args:
        busy_ms: how long a statement may wait for another process's lock. 0 for connections used on the
            event loop.
        read_only: refuse to change anything. The file is still opened for writing, which WAL readers need.

    Raises:
        apsw.Error: it cannot be opened, or is not a database.
    """
    db = apsw.Connection(str(path), statementcachesize=PREPARED)
    try:
        # Going over to WAL needs the file alone for a moment, and happens once in its life.
        db.set_busy_timeout(max(busy_ms, 5_000))
        db.pragma("journal_mode", "wal")
        # full: a commit returns after the WAL has reached the disk, so nothing acknowledged is lost with
        # the power.
        db.pragma("synchronous", synchronous)
        db.pragma("foreign_keys", True)
        # KiB. Room for the hot set of the rooms; SQLite takes it page by page, as needed.
        db.pragma("cache_size", -65_536)
        # Not mapped: a bad sector would be a signal that ends the process instead of an error, and it was
        # measured no faster (204 us against 268 for a page of rooms after each commit).
        db.pragma("mmap_size", 0)
        # Sorting a page of rooms must not touch the disk.
        db.pragma("temp_store", "memory")
        # Without this, a build with STAT4 plans a join anew for every new set of bound values: 6 us of a
        # send's 20.
        db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        # The writer checkpoints when it chooses to; see writer.py.
        db.wal_autocheckpoint(0)
        db.pragma("query_only", read_only)
        db.set_busy_timeout(busy_ms)
    except BaseException:
        db.close()
        raise
    return db
