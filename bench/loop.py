"""The driver's event loop: one epoll, one callable per socket, nothing else.

The driver must never be the slower side. A delivery costs it one ``recv`` and a few hundred nanoseconds of bookkeeping;
any event-loop library costs more than that per socket woken.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable

LOCAL = "127.0.0.1"


class BenchError(Exception):
    """A server did not do what the measurement needs; the message says what, and its figures are left out."""


class Loop:
    """Sockets and what to call when one of them is readable."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._ready: dict[int, Callable[[], None]] = {}

    def watch(self, sock: socket.socket, on_readable: Callable[[], None]) -> None:
        self._ready[sock.fileno()] = on_readable
        self._epoll.register(sock, select.EPOLLIN)

    def forget(self, sock: socket.socket) -> None:
        """Close a socket and stop watching it; from inside a callable only its own."""
        self._ready.pop(sock.fileno(), None)
        sock.close()

    def turn(self, timeout_s: float) -> bool:
        """Call whoever is readable; False when nobody was within ``timeout_s``."""
        ready = self._ready
        events = self._epoll.poll(timeout_s, 4096)
        for descriptor, _ in events:
            ready[descriptor]()
        return bool(events)

    def wait_until(self, moment: float) -> None:
        """Wait until somebody is readable or ``moment`` (by ``perf_counter``) has come, and call who is.

        To the microsecond or so, by select: a poll's timeout is rounded up to whole milliseconds.
        """
        select.select([self._epoll], [], [], max(moment - time.perf_counter(), 0.0))
        self.turn(0)

    def until(self, done: Callable[[], bool], *, within_s: float, what: str) -> None:
        """Turn until ``done()``.

        Raises:
            BenchError: it was not within ``within_s``; the message names ``what``.
        """
        deadline = time.perf_counter() + within_s
        while not done():
            self.turn(0.05)
            if time.perf_counter() > deadline:
                raise BenchError(f"{what}: not within {within_s:g} s")

    def quiet(self, *, for_s: float, within_s: float) -> None:
        """Turn until nothing has arrived for ``for_s`` (or ``within_s`` is over): all sent is received."""
        deadline = time.perf_counter() + within_s
        last = time.perf_counter()
        while (now := time.perf_counter()) - last < for_s and now < deadline:
            if self.turn(for_s / 4):
                last = time.perf_counter()

    def close(self) -> None:
        self._epoll.close()


def connect(port: int, index: int = 0, *, host: str = LOCAL) -> socket.socket:
    """A non-blocking, connected socket to ``port``, on this machine unless ``host`` says otherwise.

    ``index`` numbers the sockets of a crowd on this machine: every 20 000 get a source address of their own (127.0.0.2,
    ...), since one address has fewer ports than that.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if index >= 20_000 and host == LOCAL:
        sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: the port is chosen by connect
        sock.bind((f"127.0.0.{1 + index // 20_000}", 0))
    sock.connect((host, port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    return sock


def send_all(sock: socket.socket, data: bytes) -> None:
    """Send all of ``data``, waiting where the peer is slow to read: for set-up, where bodies are large."""
    view = memoryview(data)
    while view:
        try:
            view = view[sock.send(view) :]
        except BlockingIOError:
            select.select([], [sock], [], 1.0)
