"""The one writer: everything that changes the database goes through it, in groups.

A *job* is a sync function of a cursor; it takes a few microseconds and runs inline on the event loop, inside
the group's transaction. The COMMIT waits for the disk and runs in the writer's thread, so the loop never
does; what is asked for meanwhile is the next group. (Running the jobs in the thread as well would pay a
hand-over of the interpreter lock per statement.)

::

    idle ─ write ─▶ one tick ─▶ running ─▶ committing ─▶ told ─┬─▶ running the next group, or idle
                                 │  ▲        (thread)          └─▶ checkpointing (thread) ─▶ the same
                                 ▼  │
                        waiting for another process's lock (thread)

The connection belongs to the loop while running, to the thread in the states marked so, to nobody when idle.

What a failure does:

- A job that refuses (a ``GatewayError``) before it changed anything is told so; the group goes on without it.
- A job that raises anything else, or refuses after a change, may have left half of itself behind: the group
  is rolled back, and each of its jobs runs again in a transaction of its own. Only the culprit fails.
- A COMMIT that fails was nobody's fault: everyone in the group is told ``Unavailable``, and nothing is
  announced.

Jobs must therefore bear being run twice: they read the database and their arguments, and keep nothing
elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, TypeVar

import apsw
import structlog
import trio

from gateway.errors import GatewayError, Unavailable
from gateway.store.ports import Replayed
from gateway.store.sqlite.committer import Committer
from gateway.store.sqlite.connection import FAULTS

T = TypeVar("T")

# A group ends when its jobs have held the loop this long; the rest of the queue is the next group.
GROUP_S = 0.004
# Longer than any of the operator's commands, and than a client waits for an answer.
LOCK_WAIT_MS = 5_000
# 16 MiB: at a hundred writes a second some seconds' worth, and copied in some 20 ms.
CHECKPOINT_PAGES = 4_096
# How long closing waits for what is queued.
DRAIN_S = 30.0


class _Write:
    """One job and who waits for it.

    Attributes:
        alone: it is not to share its transaction, since the group it was in was rolled back.
        task: the one parked on it; None before that, and for good once it was cancelled.
    """

    __slots__ = ("alone", "done", "error", "job", "result", "task", "then")

    def __init__(self, job: Callable[[apsw.Cursor], Any], then: Callable[[Any], None] | None) -> None:
        self.job = job
        self.then = then
        self.alone = False
        self.done = False
        self.result: Any = None
        self.error: Exception | None = None
        self.task: trio.lowlevel.Task | None = None

    def abandon(self, _: object) -> trio.lowlevel.Abort:
        """The task was cancelled. The write still happens and is still announced."""
        self.task = None
        return trio.lowlevel.Abort.SUCCEEDED


class Writer:
    """Owns the connection that writes, and a thread. Made by :func:`open_writer`.

    Args:
        waiting_limit: how many writes may queue; over it they are refused at once, since a queue that long is
            already seconds behind.
        checkpoint_pages: after how many pages the WAL is copied into the database, and starts over.
        lock_wait_ms: how long another process may hold the write lock before writers are turned away.
    """

    def __init__(
        self,
        db: apsw.Connection,
        *,
        waiting_limit: int,
        checkpoint_pages: int,
        lock_wait_ms: int,
    ) -> None:
        self._db = db
        self._cursor = db.cursor()
        self._waiting_limit = waiting_limit
        self._checkpoint_pages = checkpoint_pages
        self._committer = Committer(db, lock_wait_ms=lock_wait_ms)
        self._waiting: deque[_Write] = deque()
        self._group: list[_Write] = []
        self._busy = False
        self._closing = False
        self._idle = trio.Event()
        self._token = trio.lowlevel.current_trio_token()
        self._commits = self._writes = self._pages = self._rollbacks = self._checkpoints = 0
        self._commit_s = 0.0
        self._log = structlog.get_logger(__name__)

    async def write(self, job: Callable[[apsw.Cursor], T], then: Callable[[T], None] | None = None) -> T:
        """Run ``job`` in the next group; returns its result once that is durable.

        Cancelled while it waits, the write still happens and ``then`` is still called.

        Raises:
            Unavailable: too many writes are waiting, the store is closing, or the commit failed; nothing was
                written.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._closing:
            raise Unavailable("The gateway is shutting down.")
        if len(self._waiting) >= self._waiting_limit:
            raise Unavailable("Too many writes are waiting.")
        write = _Write(job, then)
        self._waiting.append(write)
        if not self._busy:
            self._busy = True
            # One tick, so that all who can run now are one group. Shielded, since the others rely on it.
            await trio.lowlevel.cancel_shielded_checkpoint()
            self._next_group()
        if not write.done:
            write.task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(write.abandon)
        if write.error is not None:
            raise write.error
        result: T = write.result
        return result

    def statistics(self) -> dict[str, float]:
        """Writes waiting now, and what happened since the start; ``commit_s`` is the disk's share."""
        return {
            "writes_waiting": len(self._waiting),
            "writes": self._writes,
            "commits": self._commits,
            "writes_per_commit": self._writes / self._commits if self._commits else 0.0,
            "commit_s": self._commit_s,
            "rollbacks": self._rollbacks,
            "checkpoints": self._checkpoints,
        }

    async def close(self) -> None:
        """Refuse new writes and wait for the queued ones, as long as the disk does not take forever."""
        self._closing = True
        with trio.move_on_after(DRAIN_S, shield=True):
            while self._busy:
                await self._idle.wait()
            self._committer.close()
        if self._busy:
            self._log.error("the store did not finish its writes", waiting=len(self._waiting))

    # Half a group would be left behind by a Ctrl-C in the middle.
    @trio.lowlevel.enable_ki_protection
    def _next_group(self) -> None:
        """Begin a transaction for what waits; without any, be idle."""
        if not self._waiting:
            self._busy = False
            if self._closing:
                self._idle.set()
            return
        try:
            self._cursor.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            self._committer.begin(self._lock_taken)
        except apsw.Error as error:
            self._locked_out(error)
        else:
            self._run_group()

    def _run_group(self) -> None:
        """Run jobs in the transaction that was begun, and hand it over to be committed."""
        db, group, changes_before = self._db, self._group, self._db.total_changes()
        ends = perf_counter() + GROUP_S
        while self._waiting and not (group and self._waiting[0].alone):
            write = self._waiting.popleft()
            group.append(write)
            changes = db.total_changes()
            try:
                write.result = write.job(self._cursor)
            except Exception as error:
                refused = isinstance(error, (GatewayError, Replayed)) and db.total_changes() == changes
                if not refused or not db.in_transaction:
                    self._take_back(error)
                    return
                write.error = error
            if write.alone or perf_counter() > ends:
                break
        if db.total_changes() == changes_before:
            self._cursor.execute("ROLLBACK")
            self._deliver()
            self._go_on()
        else:
            self._committer.commit(self._committed)

    def _go_on(self) -> None:
        """See to the queue, after letting others have the loop when there is one."""
        if self._waiting:
            self._token.run_sync_soon(self._next_group)
        else:
            self._next_group()

    def _take_back(self, error: Exception) -> None:
        """Undo the group that ``error``, raised by its last write, spoilt; the others get another turn."""
        self._roll_back()
        if len(self._group) > 1:
            for write in reversed(self._group):
                write.alone = True
                write.error = None
                self._waiting.appendleft(write)
            self._group = []
        elif isinstance(error, FAULTS):
            self._refuse(error)
        else:
            self._group[0].error = error
            self._deliver()
        self._go_on()

    def _roll_back(self) -> None:
        self._rollbacks += 1
        if self._db.in_transaction:  # some errors end the transaction by themselves
            self._cursor.execute("ROLLBACK")

    def _refuse(self, error: apsw.Error) -> None:
        """Tell everyone in the group that it came to nothing, through no fault of theirs."""
        self._log.error("writes failed", error=repr(error), writes=len(self._group))
        for write in self._group:
            write.error = Unavailable("The store cannot write now.")
            write.error.__cause__ = error
        self._deliver()

    def _deliver(self) -> None:
        """Announce the group in commit order, and wake who waits."""
        group, self._group = self._group, []
        for write in group:
            write.done = True
            if write.error is None and write.then is not None:
                try:
                    write.then(write.result)
                except Exception:
                    # The write is durable, and the writes after it must be announced as well.
                    self._log.exception("announcing a write failed")
            if write.task is not None:
                trio.lowlevel.reschedule(write.task)

    def _committed(self, error: apsw.Error | None, seconds: float) -> None:
        if error is not None:
            self._roll_back()
            self._refuse(error)
        else:
            self._commits += 1
            self._writes += len(self._group)
            self._commit_s += seconds
            self._deliver()
        self._pages += self._db.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE, True)[0]
        if self._pages >= self._checkpoint_pages:
            # Before the next group begins, or the WAL could not start over: it does so only for a transaction
            # that begins when everything in it has been copied.
            self._pages = 0
            self._checkpoints += 1
            self._committer.checkpoint(self._next_group)
        else:
            self._next_group()

    def _lock_taken(self, error: apsw.Error | None) -> None:
        if error is None:
            self._run_group()
        else:
            self._locked_out(error)

    def _locked_out(self, error: apsw.Error) -> None:
        """There is no transaction to be had: turn away everyone who waits."""
        self._group = list(self._waiting)
        self._waiting.clear()
        self._refuse(error)
        self._go_on()


@asynccontextmanager
async def open_writer(
    db: apsw.Connection,
    *,
    waiting_limit: int,
    checkpoint_pages: int = CHECKPOINT_PAGES,
    lock_wait_ms: int = LOCK_WAIT_MS,
) -> AsyncIterator[Writer]:
    """A writer over a connection that is its alone until the block ends.

    Leaving it waits for what is queued, for at most ``DRAIN_S``.
    """
    writer = Writer(
        db,
        waiting_limit=waiting_limit,
        checkpoint_pages=checkpoint_pages,
        lock_wait_ms=lock_wait_ms,
    )
    try:
        yield writer
    finally:
        await writer.close()
