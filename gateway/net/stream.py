"""A plain TCP connection as a Trio stream that tries before it waits.

``trio.SocketStream`` pays a checkpoint and a lock for every call; the API answers small requests on sockets that nearly
always take the bytes at once.
"""

from __future__ import annotations

import socket

import trio


class PlainStream(trio.abc.HalfCloseableStream):
    """Owns a non-blocking socket until ``detach``."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Always a checkpoint: a client that pipelines must not keep the loop for itself."""
        while True:
            try:
                await trio.lowlevel.wait_readable(self.socket)
                return self.socket.recv(max_bytes or 65_536)
            except BlockingIOError:
                continue
            except trio.ClosedResourceError:
                raise
            except OSError as error:
                raise trio.BrokenResourceError(str(error)) from error

    def send_nowait(self, data: bytes | bytearray | memoryview) -> bytes | bytearray | memoryview:
        """Send what the kernel takes at once; returns the rest.

        Raises:
            trio.BrokenResourceError: the peer is gone.
        """
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            return data
        except OSError as error:
            raise trio.BrokenResourceError(str(error)) from error
        return b"" if sent == len(data) else memoryview(data)[sent:]

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """A checkpoint only when the kernel does not take everything at once."""
        while data := self.send_nowait(data):
            await self.wait_send_all_might_not_block()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.wait_writable(self.socket)

    async def send_eof(self) -> None:
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise trio.BrokenResourceError(str(error)) from error
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        if self.socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self.socket)
            self.socket.close()
        await trio.lowlevel.checkpoint()

    def detach(self) -> socket.socket:
        """Give the socket away; closing the stream afterwards does nothing."""
        return socket.socket(fileno=self.socket.detach())
