"""Presence over several nodes and a real Redis, which may go away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import trio

from gateway.config import Redis
from gateway.delivery.bus_redis import RedisBus
from gateway.delivery.session import Session
from tests.delivery.conftest import Node, offline, online, present, told
from tests.support.redis_server import RedisServer, running
from tests.support.stopwatch import Stopwatch

GRACE_S = 0.3
LEASE_S = 1.0
PATIENCE_S = 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    with running(server):
        yield server


class Nodes:
    """Makes nodes on one Redis, and kills them."""

    def __init__(self, nursery: trio.Nursery, server: RedisServer) -> None:
        self._nursery = nursery
        self._server = server
        self._scopes: dict[Node, trio.CancelScope] = {}

    async def node(self) -> Node:
        node: Node = await self._nursery.start(self._live)
        await node.peers.wait_acquainted()
        return node

    async def _live(self, *, task_status: trio.TaskStatus[Node]) -> None:
        async with trio.open_nursery() as nursery:
            bus = RedisBus(Redis(url=self._server.url), secret=b"s" * 32)
            node = Node(nursery, bus=bus, grace_s=GRACE_S, lease_s=LEASE_S)
            self._scopes[node] = nursery.cancel_scope
            task_status.started(node)
            await trio.sleep_forever()

    def kill(self, node: Node) -> None:
        self._scopes[node].cancel()

    async def end(self, node: Node) -> None:
        """As ``gateway.serving`` does."""
        node.peers.say_goodbye()
        await node.bus.wait_sent()
        self.kill(node)


@pytest.fixture
async def nodes(server: RedisServer) -> AsyncIterator[Nodes]:
    async with trio.open_nursery() as nursery:
        yield Nodes(nursery, server)
        nursery.cancel_scope.cancel()


async def learns(device: Session, *expected: object) -> None:
    """Wait until this device has been told all of it."""
    missing = list(expected)
    with trio.fail_after(PATIENCE_S):
        while True:
            events = told(device)
            missing = [event for event in missing if event not in events]
            if not missing:
                return
            await trio.sleep(0.01)  # the outbox tells its writer alone


async def test_nodes_see_each_others_users_and_their_end(nodes: Nodes) -> None:
    north, south = await nodes.node(), await nodes.node()
    ann = north.connect("ann")
    bob = south.connect("bob")
    await learns(ann, online("bob"))
    north.presence.enter(ann, "r1")
    south.presence.enter(bob, "r1")
    await learns(ann, present("bob"))
    late = await nodes.node()
    assert await late.snapshot("sue") == {"ann", "bob", "sue"}
    nodes.kill(south)
    await learns(ann, offline("bob"))


async def test_who_ends_in_order_is_gone_before_his_lease_is_over(nodes: Nodes) -> None:
    north, south = await nodes.node(), await nodes.node()
    gone = trio.Event()
    north.peers.on_gone(lambda _: gone.set())
    await nodes.end(south)
    watch = Stopwatch()
    with trio.fail_after(PATIENCE_S):
        await gone.wait()
    assert watch.seconds() < LEASE_S / 2


async def test_what_happens_while_redis_is_away_is_known_when_it_is_back(
    nodes: Nodes, server: RedisServer
) -> None:
    north, south = await nodes.node(), await nodes.node()
    ann, bob = north.connect("ann"), south.connect("bob")
    await learns(ann, online("bob"))
    await learns(bob, online("ann"))
    server.stop()
    south.connect("cyn")
    await trio.sleep(0.2)
    server.start()
    await learns(ann, online("cyn"))
    assert await north.snapshot("ann") >= {"ann", "cyn"}
    with trio.fail_after(PATIENCE_S):
        while True:
            if await north.snapshot("ann") == await south.snapshot("bob"):
                break
            await trio.sleep(0.05)
