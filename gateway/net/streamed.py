"""A WebSocket on a Trio stream (TLS): the same link, with a task that reads and a task that writes."""

from __future__ import annotations

import ssl

import trio

from gateway.delivery.outbox import Outbox
from gateway.delivery.timers import Wheel
from gateway.net.links import Link
from gateway.net.ports import Receiver
from gateway.wire.frames import Close, FrameReader

RECEIVE_BYTES = 65_536


class Streamed(Link):
    """One WebSocket over ``stream``; ``run`` lives as long as it."""

    __slots__ = ("_done", "_finished", "_readable", "_stream", "_tail", "_wakeup", "_write_s")

    def __init__(
        self,
        stream: trio.abc.Stream,
        *,
        reader: FrameReader,
        receiver: Receiver,
        outbox: Outbox,
        wheel: Wheel,
        close_s: float,
        write_s: float,
        deflate: bool,
    ) -> None:
        super().__init__(
            reader=reader, receiver=receiver, outbox=outbox, wheel=wheel, close_s=close_s, deflate=deflate
        )
        self._stream = stream
        self._write_s = write_s
        self._wakeup = trio.Event()
        self._readable = trio.Event()
        self._readable.set()
        self._tail: bytes | None = None  # the close frame, behind everything
        self._finished = False  # our close frame is written
        self._done = trio.CancelScope()

    def wake(self) -> None:
        self._wakeup.set()

    def finish(self, last: bytes) -> None:
        self._tail = last
        self._readable.set()
        self._wakeup.set()

    def release(self) -> None:
        self._done.cancel()

    def pause(self) -> None:
        if self._readable.is_set():
            self._readable = trio.Event()

    def resume(self) -> None:
        self._readable.set()

    async def run(self, early: bytes) -> None:
        """Serve until the connection is over; the caller closes the stream.

        Args:
            early: what the client has sent behind its handshake.
        """
        try:
            self.receiver.attached(self)
            with self._done:
                if early:
                    self.received(early)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    await self._read()
                    nursery.cancel_scope.cancel()
        finally:
            self.abort("server shutting down")

    async def _read(self) -> None:
        while True:
            await self._readable.wait()
            try:
                data = await self._stream.receive_some(RECEIVE_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError):
                data = b""
            if not data:
                self.end_of_input()
                return
            if not self.closing:
                self.received(bytes(data))
            elif any(isinstance(item, Close) for item in self.reader.feed(bytes(data))):
                self.peer_closed = True
            if self.peer_closed and self._finished:
                self.release()  # the server ends the connection first (RFC 6455 7.1.1)

    async def _write(self) -> None:
        while True:
            await self._wakeup.wait()
            self._wakeup = trio.Event()
            outbox = self.outbox  # an upgrade changes it
            while items := outbox.take():
                data = self.wire_bytes(items)
                outbox.size = len(data)
                if not await self._send(data):
                    return
                outbox.size -= len(data)
            if self._tail is not None:
                tail, self._tail = self._tail, None
                if not await self._send(tail):
                    return
                self._finished = True
                if self.peer_closed:
                    self.release()

    async def _send(self, data: bytes) -> bool:
        with trio.move_on_after(self._write_s) as deadline:
            try:
                await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError):
                self.abort("transport error")
                return False
        if deadline.cancelled_caught:
            self.abort("write timeout")
            return False
        return True
