"""All established plain WebSockets of the process, read and written by two tasks.

A task, a cancel scope and a channel per socket are what makes the usual design slow: measured on this kind of server, a
writer task with ``await send_all`` per socket reaches 0.18 of a C epoll server in fan-out, a reader task per socket 0.4 in
echo; this reaches 0.9 and 0.75, at 0.4 KB per idle socket instead of 9. So connections are slotted objects on a private
poller; one Trio task waits for the poller's own descriptor, reads whatever is ready and hands it up synchronously; another
(``writing``) writes the outboxes that have something, everything queued for a socket in one ``send``. Write-readiness is
asked for only after the kernel refused. Both yield after a bounded batch: timers, HTTP and the store have their turn.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import structlog
import trio

from gateway.delivery.outbox import Outbox
from gateway.delivery.timers import Wheel
from gateway.net import writing
from gateway.net.links import Link
from gateway.net.poller import READ, WRITE, open_poller
from gateway.net.ports import Receiver
from gateway.net.writing import Writing
from gateway.wire.frames import FrameReader

BATCH = 64
"""Sockets read before the loop yields: about a millisecond of work."""

RECEIVE_BYTES = 65_536

BROKEN = -1
"""In place of a number of bytes sent: there is no connection any more."""

log = structlog.get_logger(__name__)


class Native(writing.Native, Protocol):
    """``_native.Native``, as far as the multiplexer needs it."""

    def receive(self, fd: int, short_below: int) -> Sequence[str | bytes]:
        """``receive``, with the short texts at its beginning read already."""
        ...


class Multiplexed(Link):
    """A WebSocket on a plain TCP socket, without a task of its own."""

    __slots__ = ("_backlog", "_fd", "_finishing", "_interest", "_multiplexer", "_tail", "marked", "sock")

    def __init__(
        self,
        sock: socket.socket,
        fd: int,
        multiplexer: Multiplexer,
        *,
        reader: FrameReader,
        receiver: Receiver,
        outbox: Outbox,
        wheel: Wheel,
        close_s: float,
        deflate: bool,
    ) -> None:
        super().__init__(
            reader=reader, receiver=receiver, outbox=outbox, wheel=wheel, close_s=close_s, deflate=deflate
        )
        self.sock = sock
        self._fd = fd
        self._multiplexer = multiplexer
        self.marked = multiplexer.writing.marked
        self._backlog: memoryview | None = None  # taken from the outbox, refused by the kernel
        self._tail: bytes | None = None  # the close frame, behind everything
        self._finishing = False
        self._interest = READ

    def wake(self) -> None:
        self._multiplexer.writing.mark(self)

    def finish(self, last: bytes) -> None:
        self._tail = last
        self._finishing = True
        self._multiplexer.writing.mark(self)

    def pause(self) -> None:
        self._want(self._interest & ~READ)

    def resume(self) -> None:
        self._want(self._interest | READ)

    def _want(self, interest: int) -> None:
        if interest != self._interest and self._fd >= 0:
            self._interest = interest
            self._multiplexer.poller.change(self._fd, interest)

    def release(self) -> None:
        if self._fd < 0:
            return
        self._multiplexer.forget(self, self._fd)
        self._fd = -1
        self._backlog = None
        self.sock.close()

    def broken(self) -> None:
        """The one boundary of multiplexed links: a bug in one connection, which is being handled, ends that connection."""
        log.exception("connection ended by an unexpected error")
        self.abort("internal error")

    def readable(self) -> None:
        """Read once and hand it up."""
        for came in self._multiplexer.receive(self._fd, self.reader.short_below):
            if isinstance(came, str):
                if not self.closing:
                    self.receiver.text(came)
            elif came:
                self.received(came)
            else:
                self.end_of_input()

    def writable(self) -> None:
        """The kernel takes bytes again."""
        backlog = self._backlog
        if backlog is not None:
            self._backlog = None
            if not self._send(backlog):
                return
        self._want(self._interest & ~WRITE)
        self.flush()

    def flush(self) -> None:
        """Write everything queued with one ``send``."""
        if self._backlog is not None or self._fd < 0:
            return
        outbox = self.outbox
        if outbox.queue:
            data = self._multiplexer.writing.wire_bytes(self, outbox.queue)
            outbox.queue.clear()
            outbox.size = len(data)
            if not self._send(data):
                return
        if self._tail is not None:
            tail, self._tail = self._tail, None
            outbox.size += len(tail)
            if not self._send(tail):
                return
        if self._finishing:
            self._finishing = False
            self._want(self._interest | READ)  # a paused link must still see the peer's end
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)

    def _send(self, data: bytes | memoryview) -> bool:
        """Hand bytes to the kernel; False if it did not take all, and the rest waits for write-readiness."""
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            sent = BROKEN
        if sent == len(data):
            self.outbox.size -= sent
            return True
        self.sent(data, sent)
        return False

    def sent(self, data: bytes | memoryview, sent: int) -> None:
        """The kernel has taken ``sent`` bytes and no more: the rest waits until it does."""
        if sent == BROKEN:
            self.abort("transport error")
        elif self._fd >= 0:
            self.outbox.size -= sent
            self._backlog = memoryview(data)[sent:]
            self._want(self._interest | WRITE)


def receive(fd: int, short_below: int) -> Sequence[str | bytes]:
    """Read a socket once.

    Args:
        short_below: the attribute of its ``FrameReader``.

    Returns:
        the bytes that came, for ``Link.received``; nothing if none have; no bytes, when the peer has ended. The compiled
        form reads what it can of them, and returns texts first.
    """
    try:
        return (os.read(fd, RECEIVE_BYTES),)
    except BlockingIOError:
        return ()
    except OSError:
        return (b"",)


class Multiplexer:
    """The poller, the links on it, and the two tasks.

    Use ``await nursery.start(multiplexer.run)`` before adopting sockets.

    Args:
        expecting: see ``Writing``.
    """

    def __init__(
        self,
        *,
        wheel: Wheel,
        close_s: float,
        native: Native | None = None,
        expecting: Callable[[], bool] = lambda: False,
    ) -> None:
        self.poller = open_poller()
        self.writing = Writing(native, expecting)
        self.receive = receive if native is None else native.receive
        self._wheel = wheel
        self._close_s = close_s
        self._links: dict[int, Multiplexed] = {}
        self._emptied = trio.Event()

    def adopt(
        self,
        sock: socket.socket,
        *,
        reader: FrameReader,
        receiver: Receiver,
        outbox: Outbox,
        deflate: bool,
        early: bytes,
    ) -> Multiplexed:
        """Take over a non-blocking socket whose handshake is done.

        Args:
            early: what the client has sent behind its handshake.
        """
        fd = sock.fileno()  # once: each call makes another object, of 32 bytes
        link = Multiplexed(
            sock,
            fd,
            self,
            reader=reader,
            receiver=receiver,
            outbox=outbox,
            wheel=self._wheel,
            close_s=self._close_s,
            deflate=deflate,
        )
        self._links[fd] = link
        self.poller.add(fd, READ)
        try:
            receiver.attached(link)
            if early:
                link.received(early)
        except Exception:
            link.broken()
        return link

    @property
    def count(self) -> int:
        return len(self._links)

    def forget(self, link: Multiplexed, fd: int) -> None:
        """Called by a link that is being released."""
        del self._links[fd]
        self.poller.remove(fd)
        if not self._links:
            self._emptied.set()

    async def wait_empty(self) -> None:
        """Until no link is left."""
        while self._links:
            self._emptied = trio.Event()
            await self._emptied.wait()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Read and write for ever; on the way out every link is dropped."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read)
                nursery.start_soon(self.writing.run)
                task_status.started()
        finally:
            for link in list(self._links.values()):
                link.abort("server shutting down")
            self.poller.close()

    async def _read(self) -> None:
        links = self._links
        ready = self.poller.ready
        read = 0  # since the loop has last had its turn
        while True:
            await trio.lowlevel.wait_readable(self.poller.fileno())
            while events := ready(BATCH):
                self.writing.hold()
                for fd, event in events:
                    link = links.get(fd)
                    if link is None:
                        continue  # released by an earlier event of this batch
                    try:
                        if event & WRITE:
                            link.writable()
                        if event & ~WRITE:
                            link.readable()
                    except Exception:
                        link.broken()
                # Answers to this batch go out without waking the writing task.
                self.writing.go_on()
                read += len(events)
                if read >= BATCH:
                    read = 0
                    await trio.lowlevel.checkpoint()

    def statistics(self) -> dict[str, int]:
        return {"links": len(self._links), **self.writing.statistics()}
