"""The bus inside one process: the embedded default with one node, and several nodes in one test."""

from __future__ import annotations

from collections.abc import Callable

import trio

from gateway.delivery.bus import Envelope


class Exchange:
    """What the nodes of one process share. With a single node publishing costs one length check."""

    def __init__(self) -> None:
        self._nodes: list[MemoryBus] = []

    def node(self) -> MemoryBus:
        bus = MemoryBus(self)
        self._nodes.append(bus)
        return bus

    def others(self, bus: MemoryBus) -> list[MemoryBus]:
        return [node for node in self._nodes if node is not bus] if len(self._nodes) > 1 else []


class MemoryBus:
    """One node's end of an ``Exchange``.

    Queue: envelopes received and not yet delivered; unit: envelopes; no bound of its own, since a tick's worth is all it
    ever holds: ``run`` empties it whenever the loop comes by.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._deliver: Callable[[Envelope], None] | None = None
        self._send, self._receive = trio.open_memory_channel[Envelope](float("inf"))
        self._published = 0

    def publish(self, envelope: Envelope) -> None:
        self._published += 1
        for node in self._exchange.others(self):
            node._send.send_nowait(envelope)

    def subscribe(self, deliver: Callable[[Envelope], None]) -> None:
        self._deliver = deliver

    async def run(self) -> None:
        async for envelope in self._receive:
            if self._deliver is not None:
                self._deliver(envelope)

    def statistics(self) -> dict[str, int]:
        return {"published": self._published, "waiting": self._receive.statistics().current_buffer_used}
