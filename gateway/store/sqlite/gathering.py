"""The WAL of the connection that writes, in a few writes a commit instead of two a page.

Of what a send costs the processor the writing of pages is a third: 27 us a send in commits of 15, with it 17. SQLite has no
setting for it, so it takes some C (``_gather.c`` says how, and why nothing acknowledged is lost by it), which is built where
there is a compiler and done without elsewhere.
"""

from __future__ import annotations

import ctypes

import apsw

try:
    from gateway.store.sqlite._gather import gather
except ImportError:
    gather = None  # type: ignore[assignment]


def gather_writes(db: apsw.Connection) -> bool:
    """Let this connection, with ``synchronous=FULL``, write its WAL in few calls; returns whether it does."""
    if gather is None:
        return False
    db.execute("SELECT 1 FROM sqlite_schema").fetchall()  # which opens the WAL
    wal = ctypes.c_void_p()
    db.file_control("main", apsw.SQLITE_FCNTL_JOURNAL_POINTER, ctypes.addressof(wal))
    try:
        gather(wal.value or 0)
    except ValueError:  # an SQLite of another make, or a disk whose sectors it pads
        return False
    # What is written of a transaction before its commit must not be gathered. Groups are small; that their pages stay in
    # memory until then costs little.
    db.pragma("cache_spill", False)
    return True
