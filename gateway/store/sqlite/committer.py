"""The thread in which the writer's connection waits for the disk and for other processes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from time import perf_counter

import apsw
import structlog
import trio


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
        self._token = trio.lowlevel.current_trio_token()
        self._log = structlog.get_logger(__name__)
        # Unbounded, and never holds more than one entry: the next is put when the last has reported.
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        # A daemon, so that a disk that never answers does not keep the process from ending.
        self._thread = threading.Thread(target=self._serve, name="store committer", daemon=True)
        self._thread.start()

    def commit(self, done: Callable[[apsw.Error | None, float], None]) -> None:
        """Commit; report what went wrong, if anything, and how many seconds it took."""

        def work() -> None:
            started = perf_counter()
            error = self._attempt("COMMIT")
            self._report(done, error, perf_counter() - started)

        self._work.put(work)

    def begin(self, done: Callable[[apsw.Error | None], None]) -> None:
        """Begin a transaction that writes, when others let us."""

        def work() -> None:
            self._db.set_busy_timeout(self._lock_wait_ms)
            error = self._attempt("BEGIN IMMEDIATE")
            self._db.set_busy_timeout(0)  # on the loop nothing may wait
            self._report(done, error)

        self._work.put(work)

    def checkpoint(self, done: Callable[[], None]) -> None:
        """Copy the WAL into the database, as far as no reader of an older snapshot holds it back."""

        def work() -> None:
            try:
                self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            except apsw.Error as error:
                # The WAL holds everything; the next checkpoint tries again.
                self._log.warning("a checkpoint failed", error=repr(error))
            self._report(done)

        self._work.put(work)

    def close(self) -> None:
        """End the thread, which must have reported."""
        self._work.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            work()

    def _attempt(self, statement: str) -> apsw.Error | None:
        try:
            self._cursor.execute(statement)
        except apsw.Error as error:
            return error
        return None

    def _report(self, done: Callable[..., None], *values: object) -> None:
        try:
            self._token.run_sync_soon(done, *values)
        except trio.RunFinishedError:
            return  # the loop ended without closing the store: nobody is left to be told
