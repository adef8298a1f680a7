"""Work that must wait, done by a few shared tasks, in order for each client.

A task per message would cost 5 to 11 us and lose the order. Here a client whose event must wait gets a mailbox; a worker
runs what is in it, one after the other, while the reader goes on. Clients whose events need no waiting never have one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeAlias

import trio

Waiting: TypeAlias = Coroutine[Any, Any, None]
Job: TypeAlias = Waiting | Callable[[], Waiting | None]
"""A coroutine that has not been started, or a function that makes one or does it all at once."""


class Owner(Protocol):
    """The client a mailbox belongs to."""

    def pause(self) -> None:
        """Too much waits: do not read this client."""
        ...

    def resume(self) -> None: ...
    def broken(self) -> None:
        """A job raised: end this client, whose other jobs are not done. Called while the exception is handled."""
        ...

    def drained(self) -> None:
        """Everything is done: the mailbox can be thrown away."""
        ...


class Mailbox:
    """The jobs of one client that have not been done. It lives while there are any.

    Queue: jobs; unit: events; bound: ``limit``; overflow: the client is not read until half of them are done.
    """

    __slots__ = ("_full", "_jobs", "_limit", "_owner")

    def __init__(self, *, limit: int, owner: Owner) -> None:
        self._limit = limit
        self._owner = owner
        self._jobs: deque[Job] = deque()
        self._full = False

    def put(self, job: Job) -> None:
        self._jobs.append(job)
        if len(self._jobs) >= self._limit and not self._full:
            self._full = True
            self._owner.pause()

    def clear(self) -> None:
        """The client is gone: what it still wanted is not done. A job that has begun goes on."""
        for job in self._jobs:
            if not callable(job):
                job.close()
        self._jobs.clear()

    async def drain(self) -> None:
        """Do everything, also what arrives meanwhile."""
        jobs = self._jobs
        while jobs:
            job = jobs.popleft()
            try:
                waiting = job() if callable(job) else job
                if waiting is not None:
                    await waiting
            except Exception:
                self._owner.broken()
                self.clear()
            if self._full and len(jobs) <= self._limit // 2:
                self._full = False
                self._owner.resume()
        self._owner.drained()


class Workers:
    """An elastic pool of tasks that drain mailboxes.

    Args:
        most: tasks at once; beyond that, mailboxes wait for one.
        idle: tasks kept for the next burst, of 3 KB each: as many as one look at the poller may set to work.
    """

    def __init__(self, *, most: int = 256, idle: int = 64) -> None:
        self._most = most
        self._idle_bound = idle
        self._ready: deque[Mailbox] = deque()  # bound: one entry per client
        self._parked = trio.lowlevel.ParkingLot()
        self._count = 0
        self._nursery: trio.Nursery | None = None

    def submit(self, mailbox: Mailbox) -> None:
        """The mailbox has just got its first job."""
        self._ready.append(mailbox)
        if len(self._parked):
            self._parked.unpark()
        elif self._count < self._most and self._nursery is not None:
            self._count += 1
            self._nursery.start_soon(self._work)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    async def _work(self) -> None:
        try:
            while True:
                while self._ready:
                    await self._ready.popleft().drain()
                if len(self._parked) >= self._idle_bound:
                    return
                await self._parked.park()
        finally:
            self._count -= 1

    def statistics(self) -> dict[str, int]:
        return {"workers": self._count, "waiting": len(self._ready)}
