"""Where plain connections are between two requests, and where nearly all of those requests are answered.

A task that waits for each socket's next request costs as much as answering it: to ask for readiness, to be woken, and to be
woken once more when the store is done. Here all sockets are on one poller, and a request that has come whole is answered by
whoever looked at the poller. That is one task, the leader; as soon as a request makes it wait, another leads, and it follows
when that is done (Schmidt's pattern of leader and followers). So a request that waits for nobody costs no change of task. ::

    poller ─▶ leader ─▶ answered, or left with the store ─▶ next
                 └─ has to wait: a follower leads ─▶ answered ─▶ follower

The connection's own task waits meanwhile. It is woken for what is not a whole request: the end, a part, an upgrade, a page.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Generator, Sequence
from types import coroutine
from typing import Any, TypeAlias

import trio

from gateway.net.http import HttpConnection
from gateway.net.poller import READ, open_poller

BATCH = 64
"""Sockets looked at before the loop has its turn: a few milliseconds of work."""

FOLLOWERS = 16
"""Tasks kept for the next time that many have to wait, of 3 KB each."""

AHEAD_BYTES = 65_536
"""How much a client may send beyond the request that is being answered, before it is not read."""

Receive: TypeAlias = Callable[[int, int], Sequence[str | bytes]]
Unsent: TypeAlias = bytes | bytearray | memoryview


class Guest:
    """A connection while its task waits in the lobby.

    Attributes:
        busy: a request is being answered.
        unsent: what of the last answer is still to be sent, when its task is woken for that.
        keep_alive: whether the connection is to be kept after it.
        task: the one that waits; None when it was cancelled or woken.
    """

    __slots__ = ("busy", "connection", "fd", "keep_alive", "task", "unsent", "watched")

    def __init__(self, connection: HttpConnection, fd: int, task: trio.lowlevel.Task) -> None:
        self.connection = connection
        self.fd = fd
        self.task: trio.lowlevel.Task | None = task
        self.watched = True
        self.busy = False
        self.unsent: Unsent = b""
        self.keep_alive = True


class Lobby:
    """The poller, those who wait on it, and the tasks that answer them.

    Args:
        answer: what answers what a connection has brought, raises nothing, and ends with ``answered``; None when the
            connection's own task must see to it.
        receive: ``multiplexer.receive``, or its compiled form.
    """

    def __init__(
        self, *, answer: Callable[[Guest], Coroutine[Any, Any, None] | None], receive: Receive
    ) -> None:
        self._answer = answer
        self._receive = receive
        self._poller = open_poller()
        self._guests: dict[int, Guest] = {}
        # Descriptors that were ready when the leader last looked. Bound: BATCH.
        self._ready: deque[tuple[int, int]] = deque()
        self._followers = trio.lowlevel.ParkingLot()
        self._coming = 0  # tasks that have been told to lead, and have not begun
        self._is_watched = False  # somebody waits for the poller
        self._nursery: trio.Nursery | None = None

    async def stay(self, connection: HttpConnection, fd: int) -> Guest:
        """Have the connection's requests answered, as far as that needs no task of its own; returns how it went out."""
        guest = Guest(connection, fd, trio.lowlevel.current_task())
        self._guests[fd] = guest
        self._poller.add(fd, READ)

        def go(_: object) -> trio.lowlevel.Abort:
            guest.task = None
            self._forget(guest)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(go)
        return guest

    def answered(self, guest: Guest, unsent: Unsent, *, keep_alive: bool) -> None:
        """The request of this guest has its answer.

        Args:
            unsent: what the kernel did not take of it.
        """
        guest.busy = False
        if guest.task is None:
            return  # all this was in vain
        if unsent or not keep_alive or not guest.watched or guest.connection.has_begun:
            guest.unsent, guest.keep_alive = unsent, keep_alive
            self._wake(guest)

    def _wake(self, guest: Guest) -> None:
        task, guest.task = guest.task, None
        assert task is not None
        self._forget(guest)
        trio.lowlevel.reschedule(task)

    def _forget(self, guest: Guest) -> None:
        del self._guests[guest.fd]
        self._unwatch(guest)

    def _unwatch(self, guest: Guest) -> None:
        if guest.watched:
            guest.watched = False
            self._poller.remove(guest.fd)

    async def run(self) -> None:
        """Answer for ever."""
        try:
            async with trio.open_nursery() as self._nursery:
                self._hand_over()
        finally:
            self._nursery = None
            self._poller.close()

    async def _work(self) -> None:
        while True:
            self._coming -= 1
            await self._lead()
            if len(self._followers) >= FOLLOWERS:
                return
            await self._followers.park()

    async def _lead(self) -> None:
        """Answer what comes, until something has to wait; then see to that alone."""
        ready = self._ready
        while True:
            while ready:
                work = self._readable(ready.popleft()[0])
                if work is None:
                    continue
                try:
                    trap = work.send(None)
                except StopIteration:
                    continue
                self._hand_over()
                await _rest(work, trap)
                return
            if self._is_watched:
                return
            self._is_watched = True
            try:
                await trio.lowlevel.wait_readable(self._poller.fileno())
            finally:
                self._is_watched = False
            ready.extend(self._poller.ready(BATCH))

    def _hand_over(self) -> None:
        """Let another task lead; two, while more has come than are on their way. Those who come at once may all have
        to wait: begun one in each turn of the loop, they would be in as many commits.
        """
        for _ in range(2):
            if self._nursery is None or self._coming >= max(1, len(self._ready)):
                return
            self._coming += 1
            if len(self._followers):
                self._followers.unpark()
            else:
                self._nursery.start_soon(self._work)

    def _readable(self, fd: int) -> Coroutine[Any, Any, None] | None:
        """Read once; what answers it, if it can be answered here."""
        guest = self._guests.get(fd)
        if guest is None or not guest.watched:
            return None  # woken since the poller was looked at
        for data in self._receive(fd, 0):
            if not data:
                self._unwatch(guest)  # the end, which its own task will meet again
                if not guest.busy:
                    self._wake(guest)
                return None
            guest.connection.feed(data)  # type: ignore[arg-type]  # nothing is shorter than 0: no texts
        if guest.busy:
            if guest.connection.has_begun > AHEAD_BYTES:
                self._unwatch(guest)
            return None
        if not guest.connection.has_begun:
            return None
        work = self._answer(guest)
        guest.busy = work is not None
        if work is None:
            self._wake(guest)
        return work


@coroutine
def _rest(work: Coroutine[Any, Any, None], trap: Any) -> Generator[Any, Any, None]:
    """What is left of ``work``, which has begun and waits for ``trap``."""
    try:
        while True:
            # Trio sends in whatever becomes of it, and throws nothing.
            trap = work.send((yield trap))
    except StopIteration:
        return
    finally:
        work.close()
