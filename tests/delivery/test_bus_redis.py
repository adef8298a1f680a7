"""The bus over a real Redis server: the contract of every bus, and what a server can do to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio

from gateway.config import Redis
from gateway.delivery.bus_redis import RedisBus
from tests.delivery.bus_contract import TENANT, Attach, BusContract, Node
from tests.support.redis_server import RedisServer, running

SECRET = b"s" * 32


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    with running(server):
        yield server


def attaching(nursery: trio.Nursery, settings: Redis) -> Attach:
    async def attach() -> Node:
        bus = RedisBus(settings, secret=SECRET)
        scope, left = trio.CancelScope(), trio.Event()

        async def run(task_status: trio.TaskStatus[None]) -> None:
            with scope:
                await bus.run(task_status=task_status)
            left.set()

        async def detach() -> None:
            scope.cancel()
            await left.wait()

        node = Node(bus, detach)
        await nursery.start(run)
        await node.follow(TENANT)
        return node

    return attach


class TestRedisBus(BusContract):
    @pytest.fixture
    async def attach(self, nursery: trio.Nursery, server: RedisServer) -> Attach:
        return attaching(nursery, Redis(url=server.url))
