"""The bus inside one process: the embedded default with one node, and several nodes in one test."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import trio

from gateway.delivery.bus import Deliver, Envelope, Hear

WAITING = 65_536
"""Most messages that wait for one node. ``run`` empties the queue whenever the loop comes by, so that it holds a tick's
worth; a node that lets this many gather has stopped."""


class Signal(NamedTuple):
    node_id: str
    topic: str
    body: bytes


Message: TypeAlias = Envelope | Signal


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
    """One node's end of an ``Exchange``. It brings the envelopes of all tenants.

    Queue: messages received and not yet delivered; unit: messages; bound: ``WAITING``; overflow: the newest is dropped
    for this node and counted in ``statistics``, since publishing waits for nobody.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.node_id = secrets.token_hex(8)
        self.attached = True
        self._exchange = exchange
        self._deliver: Deliver | None = None
        self._followed: Callable[[str], None] | None = None
        self._hear: dict[str, Hear] = {}
        self._on_attached: list[Callable[[], None]] = []
        self._send, self._receive = trio.open_memory_channel[Message](WAITING)
        self._published = 0
        self._dropped = 0

    def publish(self, envelope: Envelope) -> None:
        self._published += 1
        for node in self._exchange.others(self):
            node._put(envelope)

    def signal(self, topic: str, body: bytes) -> None:
        for node in self._exchange.others(self):
            node._put(Signal(self.node_id, topic, body))

    def _put(self, message: Message) -> None:
        try:
            self._send.send_nowait(message)
        except trio.WouldBlock:
            self._dropped += 1

    def subscribe(self, deliver: Deliver, *, followed: Callable[[str], None]) -> None:
        self._deliver = deliver
        self._followed = followed

    def follow(self, tenant_id: str) -> None:
        if self._followed is not None:
            self._followed(tenant_id)

    def unfollow(self, tenant_id: str) -> None:
        pass

    def listen(self, topic: str, hear: Hear) -> None:
        self._hear[topic] = hear

    def on_attached(self, call: Callable[[], None]) -> None:
        self._on_attached.append(call)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        try:
            for call in self._on_attached:
                call()
            task_status.started()
            async for message in self._receive:
                if isinstance(message, Signal):
                    if hear := self._hear.get(message.topic):
                        hear(message.node_id, message.body)
                elif self._deliver is not None:
                    self._deliver(message)
        finally:
            self.attached = False
            self._exchange.detach(self)

    async def wait_sent(self) -> None:
        await trio.lowlevel.checkpoint()  # it leaves at once

    def statistics(self) -> dict[str, int]:
        return {
            "published": self._published,
            "waiting": self._receive.statistics().current_buffer_used,
            "dropped": self._dropped,
        }
