"""Readiness of many descriptors behind one descriptor that Trio can wait on: epoll on Linux, kqueue elsewhere."""

from __future__ import annotations

import select
import sys
from typing import Protocol

READ = 1
WRITE = 4
"""The values of EPOLLIN and EPOLLOUT; errors and hang-ups are reported as READ, where ``recv`` will tell."""


class Poller(Protocol):
    """Level-triggered. ``interest`` is READ, WRITE, their union, or 0 for nothing but hang-ups."""

    def fileno(self) -> int: ...
    def add(self, fd: int, interest: int) -> None: ...
    def change(self, fd: int, interest: int) -> None: ...
    def remove(self, fd: int) -> None: ...
    def ready(self, most: int) -> list[tuple[int, int]]:
        """Up to ``most`` pairs of descriptor and event mask, without waiting."""
        ...

    def close(self) -> None: ...


if sys.platform == "linux":

    def open_poller() -> Poller:
        return Epoll()

    class Epoll:
        def __init__(self) -> None:
            self._epoll = select.epoll()
            self.fileno = self._epoll.fileno
            self.add = self._epoll.register
            self.change = self._epoll.modify
            self.remove = self._epoll.unregister
            self.close = self._epoll.close

        def ready(self, most: int) -> list[tuple[int, int]]:
            return self._epoll.poll(0, most)

else:  # pragma: no cover - the BSDs and macOS

    def open_poller() -> Poller:
        return Kqueue()

    class Kqueue:
        def __init__(self) -> None:
            self._kqueue = select.kqueue()
            self._interest: dict[int, int] = {}
            self.fileno = self._kqueue.fileno
            self.close = self._kqueue.close

        def add(self, fd: int, interest: int) -> None:
            self._interest[fd] = 0
            self.change(fd, interest)

        def change(self, fd: int, interest: int) -> None:
            changed = self._interest[fd] ^ interest
            self._interest[fd] = interest
            events = [
                select.kevent(fd, kind, select.KQ_EV_ADD if interest & bit else select.KQ_EV_DELETE)
                for bit, kind in ((READ, select.KQ_FILTER_READ), (WRITE, select.KQ_FILTER_WRITE))
                if changed & bit
            ]
            if events:
                self._kqueue.control(events, 0)

        def remove(self, fd: int) -> None:
            self.change(fd, 0)
            del self._interest[fd]

        def ready(self, most: int) -> list[tuple[int, int]]:
            found = self._kqueue.control(None, most, 0)
            return [(e.ident, WRITE if e.filter == select.KQ_FILTER_WRITE else READ) for e in found]
