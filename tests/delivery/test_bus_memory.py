"""The bus inside one process keeps the contract of every bus, and its own bound."""

from __future__ import annotations

import pytest
import trio

from gateway.delivery.bus_memory import WAITING, Exchange
from tests.delivery.bus_contract import TENANT, Attach, BusContract, Node, envelope


class TestMemoryBus(BusContract):
    @pytest.fixture
    async def attach(self, nursery: trio.Nursery) -> Attach:
        exchange = Exchange()

        async def attach() -> Node:
            bus = exchange.node()
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


async def test_a_node_that_takes_nothing_holds_no_more_than_its_bound() -> None:
    exchange = Exchange()
    one, stuck = exchange.node(), exchange.node()
    for _ in range(WAITING + 10):
        one.publish(envelope("flood"))
    assert stuck.statistics() == {"published": 0, "waiting": WAITING, "dropped": 10}
