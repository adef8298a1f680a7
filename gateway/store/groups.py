"""Group commit: everything that changes the database is a job, and jobs share transactions.

A *job* is a sync function of a cursor. What is asked for while one group is being committed is the next group;
it waits for one tick, so that all who can ask now are in it.

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

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from functools import partial
from math import inf
from typing import Any, Generic, TypeVar

import msgspec
import structlog
import trio

from gateway.errors import GatewayError, Unavailable
from gateway.store.connection import Cursor

T = TypeVar("T")

# How long closing waits for what is queued.
DRAIN_S = 30.0


class Kind(msgspec.Struct, frozen=True):
    """What jobs do that cost less together than each alone: round trips to a database that is far away, and changes of
    statement in one that is near.

    Attributes:
        alone: does it for one item, as any job.
        together: does it for several in their order; returns for each what ``alone`` returns, or the error with which it
            refuses, having changed nothing for it.
    """

    alone: Callable[[Cursor, Any], Any]
    together: Callable[[Cursor, Sequence[Any]], Sequence[Any | GatewayError]]


class Joint(msgspec.Struct, frozen=True, gc=False):
    """A job that can be done together with those of its kind that wait beside it."""

    kind: Kind
    item: Any

    def __call__(self, db: Cursor) -> Any:
        return self.kind.alone(db, self.item)


class Write(Generic[T]):
    """One job and who waits for it. Nothing is done before somebody does: by ``await``, or by ``when_done``, once.

    Attributes:
        tenant_id: whose rows it touches, if anybody's.
        alone: it is not to share its transaction, since the group it was in was rolled back.
        tell: what tells who waits that it is done; None before that, and for good once that one was cancelled.
    """

    __slots__ = ("_within_s", "_writer", "alone", "error", "job", "tell", "tenant_id", "then", "value")

    def __init__(
        self,
        writer: GroupWriter,
        job: Callable[[Cursor], T],
        then: Callable[[T], None] | None,
        *,
        tenant_id: str | None,
        within_s: float,
    ) -> None:
        self._writer = writer
        self._within_s = within_s
        self.tenant_id = tenant_id
        self.job: Callable[[Cursor], Any] = job
        self.then: Callable[[Any], None] | None = then
        self.alone = False
        self.value: Any = None
        self.error: Exception | None = None
        self.tell: Callable[[], None] | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        yield from self._writer.wait(self, within_s=self._within_s).__await__()
        return self.result()

    def when_done(self, call: Callable[[], None]) -> None:
        """See ``gateway.store.ports.Pending``. However long that takes: ``within_s`` is for who awaits."""
        self._writer.submit(self)
        self.tell = call

    def result(self) -> T:
        """What came of it, once it is done."""
        if self.error is not None:
            raise self.error
        value: T = self.value
        return value

    def abandon(self, _: object) -> trio.lowlevel.Abort:
        """The task was cancelled. The write still happens and is still announced."""
        self.tell = None
        return trio.lowlevel.Abort.SUCCEEDED


def kin_of(writes: Iterable[Write[Any]]) -> list[Write[Any]]:
    """The first of these, and of those behind it as many as are to be done together with it."""
    kin: list[Write[Any]] = []
    for write in writes:
        if kin and (write.alone or kin[0].alone or not _are_kin(kin[0].job, write.job)):
            break
        kin.append(write)
    return kin


def _are_kin(job: object, other: object) -> bool:
    return isinstance(job, Joint) and isinstance(other, Joint) and job.kind is other.kind


def do(db: Cursor, kin: Sequence[Write[Any]]) -> None:
    """Do a job, or several of a kind; of several each is told its own refusal.

    Raises:
        Exception: what the one job raised, or what kept the several from being done at all.
    """
    first = kin[0].job
    outcomes: Sequence[Any]
    if isinstance(first, Joint) and len(kin) > 1:
        outcomes = first.kind.together(db, [write.job.item for write in kin if isinstance(write.job, Joint)])
    else:
        outcomes = (first(db),)
    for write, outcome in zip(kin, outcomes, strict=True):
        write.error = outcome if isinstance(outcome, GatewayError) else None
        write.value = outcome


class GroupWriter(ABC):
    """The queue of writes and what becomes of them; how a group is run is for the two kinds of it to say.

    Args:
        waiting_limit: how many writes may queue; over it they are refused at once, since a queue that long is
            already seconds behind.
        faults: what the database raises through no fault of a job.
    """

    def __init__(self, *, waiting_limit: int, faults: tuple[type[Exception], ...]) -> None:
        self._waiting: deque[Write[Any]] = deque()
        self._group: list[Write[Any]] = []
        self._waiting_limit = waiting_limit
        self._faults = faults
        self._busy = False
        self._closing = False
        self._idle = trio.Event()
        self._token = trio.lowlevel.current_trio_token()
        self._commits = self._writes = self._rollbacks = 0
        self._commit_s = 0.0
        self._log = structlog.get_logger(__name__)

    def write(
        self,
        job: Callable[[Cursor], T],
        then: Callable[[T], None] | None = None,
        *,
        tenant_id: str | None = None,
        within_s: float = inf,
    ) -> Write[T]:
        """What ``job`` comes to in the next group, once that is durable.

        Cancelled while it is awaited, the write still happens and ``then`` is still called.

        Args:
            within_s: how long it may be awaited. What has not begun by then is forgotten: it would only keep from
                their work those who come when the database is back.

        Raises (when it is asked for): ``Unavailable``: too many writes are waiting, the store is closing, or the commit
            failed; nothing was written, as far as can be known. Or the time is over, and it may have been.
        """
        return Write(self, job, then, tenant_id=tenant_id, within_s=within_s)

    def submit(self, write: Write[Any]) -> None:
        """Queue it.

        Raises:
            Unavailable: the store is closing, or too many are waiting.
        """
        if self._closing:
            raise Unavailable("The gateway is shutting down.")
        if len(self._waiting) >= self._waiting_limit:
            raise Unavailable("Too many writes are waiting.")
        self._waiting.append(write)
        if not self._busy:
            self._busy = True
            # A tick later, so that all who can ask now are one group.
            self._token.run_sync_soon(self._next_group)

    async def wait(self, write: Write[Any], *, within_s: float) -> None:
        """Queue it and wait until it is done.

        Raises:
            Unavailable: see ``submit``; or the time is over.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        self.submit(write)
        write.tell = partial(trio.lowlevel.reschedule, trio.lowlevel.current_task())
        if within_s == inf:
            await trio.lowlevel.wait_task_rescheduled(write.abandon)
            return
        with trio.move_on_after(within_s):
            await trio.lowlevel.wait_task_rescheduled(write.abandon)
            return
        with suppress(ValueError):  # it is in a group
            self._waiting.remove(write)
        raise Unavailable("The store does not answer.")

    @property
    def busy(self) -> bool:
        """Whether a group is being written, or about to be."""
        return self._busy

    def statistics(self) -> dict[str, float]:
        """Writes waiting now, and what happened since the start; ``commit_s`` is the disk's share."""
        return {
            "writes_waiting": len(self._waiting),
            "writes": self._writes,
            "commits": self._commits,
            "writes_per_commit": self._writes / self._commits if self._commits else 0.0,
            "commit_s": self._commit_s,
            "rollbacks": self._rollbacks,
        }

    async def close(self) -> None:
        """Refuse new writes and wait for the queued ones, as long as the disk does not take forever."""
        self._closing = True
        with trio.move_on_after(DRAIN_S, shield=True):
            while self._busy:
                await self._idle.wait()
            self._end()
        if self._busy:
            self._log.error("the store did not finish its writes", waiting=len(self._waiting))

    @abstractmethod
    def _begin(self) -> None:
        """Run a group of what waits, of which there is some, and call what tells its writers."""

    @abstractmethod
    def _end(self) -> None:
        """Nothing waits any more, and nothing will."""

    # Half a group would be left behind by a Ctrl-C in the middle.
    @trio.lowlevel.enable_ki_protection
    def _next_group(self) -> None:
        """Begin with what waits; without any, be idle."""
        if self._waiting:
            self._begin()
            return
        self._busy = False
        if self._closing:
            self._idle.set()

    def _go_on(self) -> None:
        """See to the queue, after letting others have the loop when there is one."""
        if self._waiting:
            self._token.run_sync_soon(self._next_group)
        else:
            self._next_group()

    def _committed(self, seconds: float) -> None:
        """The group is durable."""
        self._commits += 1
        self._writes += len(self._group)
        self._commit_s += seconds
        self._deliver()

    def _undone(self, error: Exception) -> None:
        """``error``, raised by its last write, spoilt the group, which was rolled back; the others get another
        turn.
        """
        self._rollbacks += 1
        if len(self._group) > 1:
            for write in reversed(self._group):
                write.alone = True
                write.error = None
                self._waiting.appendleft(write)
            self._group = []
        elif isinstance(error, self._faults):
            self._refuse(error)
        else:
            self._group[0].error = error
            self._deliver()

    def _refuse(self, error: Exception) -> None:
        """Tell everyone in the group that it came to nothing, through no fault of theirs."""
        self._log.error("writes failed", error=repr(error), writes=len(self._group))
        for write in self._group:
            write.error = Unavailable("The store cannot write now.")
            write.error.__cause__ = error
        self._deliver()

    def _turn_away(self, error: Exception) -> None:
        """There is no transaction to be had: refuse everyone who waits."""
        self._group += self._waiting
        self._waiting.clear()
        self._refuse(error)
        self._go_on()

    def _deliver(self) -> None:
        """Announce the group in commit order, and then tell who waits."""
        group, self._group = self._group, []
        for write in group:
            if write.error is None and write.then is not None:
                try:
                    write.then(write.value)
                except Exception:
                    # The write is durable, and the writes after it must be announced as well.
                    self._log.exception("announcing a write failed")
        for write in group:
            # What is told likely leads back to the write: a circle for each would be left to the collector.
            tell, write.tell = write.tell, None
            if tell is not None:
                tell()
