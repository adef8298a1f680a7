"""The thread in which the writer's connection waits for the disk and for other processes."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import apsw
import structlog

from gateway.store.courier import Courier


class Committer:
    """Runs one waiting statement at a time, and reports on the event loop.

    Until it has reported, the connection is the thread's alone. Make it, and close it, on the event loop.

    Args:
        lock_wait_ms: how long :meth:`begin` waits for another process's lock.
    """

    def __init__(self, db: apsw.Connection, *, lock_wait_ms: int) -> None:
        self._db = db
        self._cursor = db.cursor()
        self._lock_wait_ms = lock_wait_ms
        self._log = structlog.get_logger(__name__)
        self._courier = Courier("store committer")

    def commit(self, done: Callable[[tuple[apsw.Error | None, float]], None]) -> None:
        """Commit; report what went wrong, if anything, and how many seconds it took."""
        self._courier.run(self._commit, done)

    def begin(self, done: Callable[[apsw.Error | None], None]) -> None:
        """Begin a transaction that writes, when others let us."""
        self._courier.run(self._begin, done)

    def checkpoint(self, done: Callable[[None], None]) -> None:
        """Copy what is left of the WAL into the database, as far as no reader of an older snapshot holds it back."""
        self._courier.run(self._checkpoint, done)

    def close(self) -> None:
        """End the thread, which must have reported."""
        self._courier.close()

    def _commit(self) -> tuple[apsw.Error | None, float]:
        started = perf_counter()
        error = self._attempt("COMMIT")
        return error, perf_counter() - started

    def _begin(self) -> apsw.Error | None:
        self._db.set_busy_timeout(self._lock_wait_ms)
        error = self._attempt("BEGIN IMMEDIATE")
        self._db.set_busy_timeout(0)  # on the loop nothing may wait
        return error

    def _checkpoint(self) -> None:
        try:
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            # The WAL holds everything; the next checkpoint tries again.
            self._log.warning("a checkpoint failed", error=repr(error))

    def _attempt(self, statement: str) -> apsw.Error | None:
        try:
            self._cursor.execute(statement)
        except apsw.Error as error:
            return error
        return None
