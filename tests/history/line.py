"""The network between one person and the gateways: a TCP forwarder that can be cut, slowed and held."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Callable

import trio

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing says RST, and drops what is on its way


class Line:
    """Forwards connections, each to the node that is chosen for it.

    Args:
        choose_port: which node's port, for every connection anew.

    Attributes:
        delay_s: most that a piece of data takes longer than it would.
    """

    def __init__(self, *, choose_port: Callable[[], int], chance: random.Random) -> None:
        self.port = 0
        self.delay_s = 0.0
        self._choose_port = choose_port
        self._chance = chance
        self._flowing = trio.Event()
        self._flowing.set()
        self._connections: dict[trio.CancelScope, tuple[trio.SocketStream, ...]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Forward for ever."""
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listener.socket.getsockname()[1]
        task_status.started()
        await trio.serve_listeners(self._carry, [listener])

    def cut(self) -> None:
        """Reset every connection, at both ends."""
        for scope, streams in self._connections.items():
            for stream in streams:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            scope.cancel()

    def stall(self) -> None:
        """Let nothing through until ``flow``, and say nothing of it."""
        self._flowing = trio.Event()

    def flow(self) -> None:
        self._flowing.set()

    async def _carry(self, near: trio.SocketStream) -> None:
        async with near:
            try:
                far = await trio.open_tcp_stream("127.0.0.1", self._choose_port())
            except OSError:
                return  # no such node at present
            async with far:
                with trio.CancelScope() as scope:
                    self._connections[scope] = (near, far)
                    try:
                        async with trio.open_nursery() as nursery:
                            nursery.start_soon(self._forward, near, far, scope)
                            nursery.start_soon(self._forward, far, near, scope)
                    finally:
                        del self._connections[scope]

    async def _forward(
        self, source: trio.SocketStream, sink: trio.SocketStream, scope: trio.CancelScope
    ) -> None:
        try:
            while data := await source.receive_some(65_536):
                if self.delay_s:
                    await trio.sleep(self._chance.uniform(0, self.delay_s))
                await self._flowing.wait()
                await sink.send_all(data)
        except trio.BrokenResourceError:
            pass
        scope.cancel()
