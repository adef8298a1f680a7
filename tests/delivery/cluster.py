"""Several nodes in one process, on a network that can be cut, that can lose messages, and whose nodes can die."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from gateway.delivery.bus_memory import Exchange, MemoryBus
from gateway.delivery.session import Session
from tests.delivery.conftest import TENANT, Node, told


class Network(Exchange):
    """An exchange whose messages may not arrive.

    Attributes:
        cuts: a sender and a receiver, by their ids, for each way that nothing passes.
        loses: asked for each message to each node whether it is lost.
        copies: how often each message arrives.
        carried: messages that arrived.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cuts: set[tuple[str, str]] = set()
        self.loses: Callable[[], bool] = lambda: False
        self.copies = 1
        self.carried = 0

    def others(self, bus: MemoryBus) -> list[MemoryBus]:
        reached = [
            node
            for node in super().others(bus)
            if (bus.node_id, node.node_id) not in self.cuts and not self.loses()
        ]
        self.carried += len(reached)
        return reached * self.copies


class Member(Node):
    """A node of a cluster, with the devices that are connected to it."""

    def __init__(self, nursery: trio.Nursery, network: Network) -> None:
        super().__init__(nursery, bus=network.node())
        self._nursery = nursery
        self.devices: list[Session] = []

    def connect(self, user_id: str, *, tenant_id: str = TENANT) -> Session:
        device = super().connect(user_id, tenant_id=tenant_id)
        self.devices.append(device)
        return device

    def disconnect(self, device: Session) -> None:
        self.devices.remove(device)
        super().disconnect(device)

    def die(self) -> None:
        """As by ``kill -9``: it does nothing more, and nobody is told."""
        self._nursery.cancel_scope.cancel()

    async def stop(self) -> None:
        """As by SIGTERM: its clients are told to go and have gone; then it says goodbye."""
        for device in [*self.devices]:
            self.disconnect(device)
        self.peers.say_goodbye()
        self.die()


class Cluster:
    """Makes nodes on one network."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self.network = Network()

    async def node(self) -> Member:
        member: Member = await self._nursery.start(self._live)
        return member

    async def _live(self, *, task_status: trio.TaskStatus[Member]) -> None:
        async with trio.open_nursery() as nursery:
            task_status.started(Member(nursery, self.network))
            await trio.sleep_forever()

    def cut(self, one: Node, other: Node) -> None:
        self.deafen(one, to=other)
        self.deafen(other, to=one)

    def deafen(self, node: Node, *, to: Node) -> None:
        """The node does not hear the other one, which may well hear it."""
        self.network.cuts.add((to.bus.node_id, node.bus.node_id))

    def heal(self) -> None:
        self.network.cuts.clear()


@asynccontextmanager
async def open_cluster() -> AsyncIterator[Cluster]:
    async with trio.open_nursery() as nursery:
        yield Cluster(nursery)
        nursery.cancel_scope.cancel()


class View:
    """What one client believes, who keeps a set as the SDK does: by snapshots and deltas.

    Attributes:
        doubts: everybody of whom it was ever told that he is offline.
    """

    def __init__(self, snapshot: set[str]) -> None:
        self.online = snapshot
        self.doubts: set[str] = set()

    def watch(self, device: Session) -> None:
        for event, payload in told(device):
            if event == "tenant-presence" and payload["online"]:
                self.online.add(payload["userId"])
            elif event == "tenant-presence":
                self.online.discard(payload["userId"])
                self.doubts.add(payload["userId"])
