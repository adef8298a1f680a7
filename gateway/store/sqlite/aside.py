"""Reads that may take long: each in a thread, on a connection of its own, for a limited time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import apsw
import trio

from gateway.errors import Unavailable
from gateway.store.connection import Cursor
from gateway.store.sqlite.connection import FAULTS, connect

T = TypeVar("T")

# At once. More would only take the processor away from the loop.
CONNECTIONS = 2
# For a connection; beyond it callers are refused, since they would wait for seconds.
WAITING = 32
# Steps of SQLite's machine between two looks at the clock: fractions of a millisecond.
STEPS = 10_000


class Aside:
    """Reads beside the event loop. Made by :func:`open_aside`."""

    def __init__(self, connections: list[apsw.Connection]) -> None:
        self._free = connections
        self._limiter = trio.CapacityLimiter(len(connections))

    async def read(self, query: Callable[[Cursor], T], *, within_s: float) -> T:
        """Run ``query`` in a thread; all its statements see one state.

        Raises:
            Unavailable: too many are waiting, the time is over, or the file cannot be read.
        """
        if self._limiter.statistics().tasks_waiting >= WAITING:
            raise Unavailable("Too many are searching now.")
        async with self._limiter:
            db = self._free.pop()
            try:
                return await trio.to_thread.run_sync(_run, db, query, within_s)
            finally:
                self._free.append(db)


@asynccontextmanager
async def open_aside(path: Path) -> AsyncIterator[Aside]:
    """Connections to the database at ``path``, closed at the end.

    Raises:
        apsw.Error: the file cannot be used.
    """
    with ExitStack() as closes:
        yield Aside(
            [closes.enter_context(closing(connect(path, read_only=True))) for _ in range(CONNECTIONS)]
        )


def _run(db: apsw.Connection, query: Callable[[Cursor], T], within_s: float) -> T:
    ends = perf_counter() + within_s

    def is_over() -> bool:
        return perf_counter() > ends

    cursor = db.cursor()
    # A statement that has begun is looked after by the handler, one that begins by the trace.
    db.set_progress_handler(is_over, STEPS)
    cursor.exec_trace = lambda *_: not is_over()
    try:
        cursor.execute("BEGIN")
        return query(cursor)
    except (apsw.InterruptError, apsw.ExecTraceAbort) as error:
        raise Unavailable("This takes too long now.") from error
    except FAULTS as error:
        raise Unavailable("The store cannot read now.") from error
    finally:
        db.set_progress_handler(None)
        cursor.exec_trace = None
        if db.in_transaction:
            cursor.execute("ROLLBACK")
