"""The bus inside one process: the embedded default with one node, and several nodes in one test."""

from __future__ import annotations

from collections.abc import Callable

import trio

from gateway.delivery.bus import Envelope

WAITING = 65_536
"""Most envelopes that wait for one node. ``run`` empties the queue whenever the loop comes by, so that it holds a tick's
worth; a node that lets this many gather has stopped."""


class Exchange:
    """What the nodes of one process share. With a single node publishing costs one length check."""

    def __init__(self) -> None:
        self._nodes: list[MemoryBus] = []

    def node(self) -> MemoryBus:
        """A new node, attached from now until its ``run`` ends."""
        bus = MemoryBus(self)
        self._nodes.append(bus)
        return bus

    def others(self, bus: MemoryBus) -> list[MemoryBus]:
        return [node for node in self._nodes if node is not bus] if len(self._nodes) > 1 else []

    def detach(self, bus: MemoryBus) -> None:
        self._nodes.remove(bus)


class MemoryBus:
    """One node's end of an ``Exchange``.

    Queue: envelopes received and not yet delivered; unit: envelopes; bound: ``WAITING``; overflow: the newest is dropped
    for this node and counted in ``statistics``, since publishing waits for nobody.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._deliver: Callable[[Envelope], None] | None = None
        self._send, self._receive = trio.open_memory_channel[Envelope](WAITING)
        self._published = 0
        self._dropped = 0

    def publish(self, envelope: Envelope) -> None:
        self._published += 1
        for node in self._exchange.others(self):
            node._put(envelope)

    def _put(self, envelope: Envelope) -> None:
        try:
            self._send.send_nowait(envelope)
        except trio.WouldBlock:
            self._dropped += 1

    def subscribe(self, deliver: Callable[[Envelope], None]) -> None:
        self._deliver = deliver

    async def run(self) -> None:
        try:
            async for envelope in self._receive:
                if self._deliver is not None:
                    self._deliver(envelope)
        finally:
            self._exchange.detach(self)

    def statistics(self) -> dict[str, int]:
        return {
            "published": self._published,
            "waiting": self._receive.statistics().current_buffer_used,
            "dropped": self._dropped,
        }
