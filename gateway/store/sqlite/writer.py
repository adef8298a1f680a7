"""The one writer of a file: its jobs run on the event loop, its commits in a thread.

A job takes a few microseconds and runs inline on the event loop, inside the group's transaction. The COMMIT
waits for the disk and runs in the writer's thread, so the loop never does. (Running the jobs in the thread as
well would pay a hand-over of the interpreter lock per statement.)

::

    idle ─ write ─▶ one tick ─▶ running ─▶ committing ─▶ told ─┬─▶ running the next group, or idle
                                 │  ▲        (thread)          └─▶ checkpointing (thread) ─▶ the same
                                 ▼  │
                        waiting for another process's lock (thread)

The connection belongs to the loop while running, to the thread in the states marked so, to nobody when idle.
A checkpoint has little left to copy: it comes when a ``Copier`` has done the rest beside the commits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from time import perf_counter

import apsw

from gateway.errors import GatewayError
from gateway.store.groups import GroupWriter, do, kin_of
from gateway.store.ports import Replayed
from gateway.store.sqlite.committer import Committer
from gateway.store.sqlite.connection import FAULTS
from gateway.store.sqlite.copier import Copier

# Jobs of a kind that are done at once, between two looks at the clock.
TOGETHER = 32
# A group ends when its jobs have held the loop this long; the rest of the queue is the next group.
GROUP_S = 0.004
# Longer than any of the operator's commands, and than a client waits for an answer.
LOCK_WAIT_MS = 5_000
# 64 MiB: at a hundred writes a second some twenty seconds' worth. The more there are, the more of them are versions of the
# same pages, of which one is copied, and the less often writers stand still for the rest: under 3 500 messages a second for
# 0.9 % of the time, with half as many for 1.4 %. With twice as many it is 0.4 %, but a commit beside a copy may wait 40 ms.
CHECKPOINT_PAGES = 16_384


class Writer(GroupWriter):
    """Owns the connection that writes, and a thread. Made by :func:`open_writer`.

    Args:
        checkpoint_pages: after how many pages the WAL is copied into the database, to start over.
        lock_wait_ms: how long another process may hold the write lock before writers are turned away.
    """

    def __init__(
        self,
        db: apsw.Connection,
        *,
        copier: Copier,
        waiting_limit: int,
        checkpoint_pages: int,
        lock_wait_ms: int,
    ) -> None:
        super().__init__(waiting_limit=waiting_limit, faults=FAULTS)
        self._db = db
        self._cursor = db.cursor()
        self._copier = copier
        self._copying = self._copied = False
        self._checkpoint_pages = checkpoint_pages
        self._committer = Committer(db, lock_wait_ms=lock_wait_ms)
        self._pages = self._checkpoints = 0

    def statistics(self) -> dict[str, float]:
        return {**super().statistics(), "checkpoints": self._checkpoints}

    def _begin(self) -> None:
        try:
            self._cursor.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            self._committer.begin(self._lock_taken)
        except apsw.Error as error:
            self._turn_away(error)
        else:
            self._run_group()

    def _end(self) -> None:
        self._committer.close()

    def _lock_taken(self, error: apsw.Error | None) -> None:
        if error is None:
            self._run_group()
        else:
            self._turn_away(error)

    def _run_group(self) -> None:
        """Run jobs in the transaction that was begun, and hand it over to be committed."""
        db, group, changes_before = self._db, self._group, self._db.total_changes()
        ends = perf_counter() + GROUP_S
        while self._waiting and not (group and self._waiting[0].alone):
            kin = kin_of(islice(self._waiting, TOGETHER))
            for write in kin:
                self._waiting.popleft()
                group.append(write)
            changes = db.total_changes()
            try:
                do(self._cursor, kin)
            except Exception as error:
                refused = isinstance(error, (GatewayError, Replayed)) and db.total_changes() == changes
                if len(kin) > 1 or not refused or not db.in_transaction:
                    self._roll_back()
                    self._undone(error)
                    self._go_on()
                    return
                kin[0].error = error
            if kin[0].alone or perf_counter() > ends:
                break
        if db.total_changes() == changes_before:
            self._cursor.execute("ROLLBACK")
            self._deliver()
            self._go_on()
        else:
            self._committer.commit(self._told)

    def _roll_back(self) -> None:
        if self._db.in_transaction:  # some errors end the transaction by themselves
            self._cursor.execute("ROLLBACK")

    def _told(self, outcome: tuple[apsw.Error | None, float]) -> None:
        error, seconds = outcome
        if error is None:
            self._committed(seconds)
        else:
            self._rollbacks += 1
            self._roll_back()
            self._refuse(error)
        self._pages += self._db.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE, True)[0]
        if self._copied:
            # Before the next group begins, or the WAL could not start over: it does so only for a transaction
            # that begins when everything in it has been copied.
            self._pages = 0
            self._copying = self._copied = False
            self._checkpoints += 1
            self._committer.checkpoint(lambda _: self._next_group())
            return
        if self._pages >= self._checkpoint_pages and not self._copying:
            self._copying = True
            self._copier.copy(self._has_copied)
        self._next_group()

    def _has_copied(self, _: None) -> None:
        self._copied = True  # for the end of the next commit, which will have added little


@asynccontextmanager
async def open_writer(
    db: apsw.Connection,
    *,
    copier: Copier,
    waiting_limit: int,
    checkpoint_pages: int = CHECKPOINT_PAGES,
    lock_wait_ms: int = LOCK_WAIT_MS,
) -> AsyncIterator[Writer]:
    """A writer over a connection that is its alone until the block ends.

    Leaving it waits for what is queued, for at most ``DRAIN_S``.
    """
    writer = Writer(
        db,
        copier=copier,
        waiting_limit=waiting_limit,
        checkpoint_pages=checkpoint_pages,
        lock_wait_ms=lock_wait_ms,
    )
    try:
        yield writer
    finally:
        await writer.close()
