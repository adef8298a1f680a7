"""After whatever has happened, once it has been quiet for a lease and a grace, every node knows the truth and every client
believes it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeAlias

import trio
import trio.testing
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.delivery.session import Session
from tests.delivery.cluster import Cluster, Member, View, open_cluster
from tests.delivery.conftest import GRACE_S, LEASE_S, TENANT, told

USERS = ("ann", "bob", "cyn", "dan")
ROOMS = ("r1", "r2")
NODES = 3
QUIET = (LEASE_S + GRACE_S) * 2

Step: TypeAlias = tuple[str, int, int]

# What may happen, with two numbers that say to whom. What needs a node that is dead, or a device that is not there, does
# nothing.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["connect"] * 4
            + ["disconnect"] * 2
            + ["enter"] * 2
            + [
                "leave",
                "expel",
                "kill",
                "stop",
                "start",
                "start",
                "cut",
                "heal",
                "lose",
                "keep",
                "wait",
                "wait",
            ]
        ),
        st.integers(0, 11),
        st.integers(0, 11),
    ),
    max_size=60,
)


class World:
    """The cluster, what is true in it, and what each client believes."""

    def __init__(self, cluster: Cluster, nodes: list[Member]) -> None:
        self.cluster = cluster
        self.nodes: list[Member | None] = [*nodes]
        self.views: dict[Session, View] = {}
        self._chance = random.Random(0)

    async def take(self, step: Step) -> None:
        name, one, other = step
        number = one % NODES
        node = self.nodes[number]
        if name == "wait":
            await trio.sleep((0.001, 0.05, 1, LEASE_S)[other % 4])
        elif name in ("lose", "keep"):
            share = other / 12 if name == "lose" else 0
            self.cluster.network.loses = lambda: self._chance.random() < share
        elif name == "heal":
            self.cluster.heal()
        elif name == "start" and node is None:
            self.nodes[number] = await self.cluster.node()
        elif node is not None:
            await self._at(node, number, name, other)

    async def _at(self, node: Member, number: int, name: str, other: int) -> None:
        device = node.devices[other % len(node.devices)] if node.devices else None
        if name == "connect":
            user = USERS[other % len(USERS)]
            view = View(await node.snapshot(user))
            self.views[node.connect(user)] = view
        elif name == "cut":
            neighbour = self.nodes[(number + 1 + other % 2) % NODES]
            if neighbour is not None:
                self.cluster.cut(node, neighbour)
        elif name in ("kill", "stop"):
            self.nodes[number] = None
            if name == "stop":
                await node.stop()
            else:
                node.die()
        elif device is not None:
            room = ROOMS[other % len(ROOMS)]

            def enter() -> None:
                node.presence.leave(device)
                node.presence.enter(device, room)

            actions: dict[str, Callable[[], None]] = {
                "disconnect": lambda: node.disconnect(device),
                "enter": enter,
                "leave": lambda: node.presence.leave(device),
                "expel": lambda: node.presence.expel(TENANT, device.user_id, room),
            }
            if name in actions:
                self._watch()
                actions[name]()

    def _watch(self) -> None:
        for device in self.devices():
            self.views[device].watch(device)

    def devices(self) -> list[Session]:
        return [device for node in self.nodes if node is not None for device in node.devices]

    async def judge(self) -> None:
        self._watch()
        online = {device.user_id for device in self.devices()}
        for node in self.nodes:
            if node is not None:
                assert await node.snapshot("nobody") == online | {"nobody"}
        for device in self.devices():
            assert self.views[device].online | {device.user_id} == online
        for room in ROOMS:
            inside = {device.user_id for device in self.devices() if device.room_id == room}
            for node in self.nodes:
                if node is not None:
                    newcomer = node.connect("newcomer")
                    node.presence.enter(newcomer, room)
                    snapshot = dict(told(newcomer))["presence-snapshot"]["onlineUserIds"]
                    assert set(snapshot) == inside | {"newcomer"}
                    node.presence.leave(newcomer)
                    await trio.sleep(1)


@settings(max_examples=150)
@given(STEPS)
@example([("cut", 0, 0), ("wait", 0, 3), ("connect", 0, 0)])  # back just when the other gives it up
def test_all_agree_on_the_truth_once_it_is_quiet(steps: list[Step]) -> None:
    async def story() -> None:
        async with open_cluster() as cluster:
            world = World(cluster, [await cluster.node() for _ in range(NODES)])
            for step in steps:
                await world.take(step)
            cluster.heal()
            cluster.network.loses = lambda: False
            await trio.sleep(QUIET)
            await world.judge()

    trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0))
