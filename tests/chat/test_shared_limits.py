"""Limits over several nodes: the lasting rate is one, and how much too much there can be is bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import MockClock

from gateway.chat.limits import Limiter
from gateway.chat.shared_limits import PART, TELL_S, SharedLimits
from gateway.config import Limits, Rate
from gateway.delivery.peers import Peers
from tests.delivery.cluster import Network

RATE = Rate(per_s=10, burst=30)
MOMENT = 0.01


class Nodes:
    """Some nodes, and a user who takes all he can get at each."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.limiters: list[Limiter] = []

    async def add(self, nursery: trio.Nursery) -> Limiter:
        bus = self.network.node()
        peers = Peers(bus=bus, lease_s=5)
        limiter = Limiter(Limits(send_message=RATE))
        shared = SharedLimits(limiter=limiter, peers=peers)
        await nursery.start(bus.run)
        nursery.start_soon(peers.run)
        nursery.start_soon(shared.run)
        self.limiters.append(limiter)
        return limiter

    def greedy(self, *nodes: int) -> int:
        """How many he gets now at these nodes together."""
        got = 0
        for node in nodes:
            while not self.limiters[node].take("acme", "ann", "send-message"):
                got += 1
        return got


@pytest.fixture
async def nodes() -> AsyncIterator[Nodes]:
    async with trio.open_nursery() as nursery:
        nodes = Nodes(Network())
        for _ in range(3):
            await nodes.add(nursery)
        await trio.sleep(TELL_S + MOMENT)  # they know each other, and count
        yield nodes
        nursery.cancel_scope.cancel()


async def test_who_comes_by_several_nodes_gets_the_rate_of_one_in_the_long_run(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    got = nodes.greedy(0, 1, 2)
    assert got == 3 * RATE.burst  # nobody knows yet
    seconds = 60
    for _ in range(seconds * 10):
        await trio.sleep(0.1)
        got += nodes.greedy(0, 1, 2)
    allowed = RATE.burst + RATE.per_s * seconds
    too_much = 2 * (RATE.burst + RATE.per_s * TELL_S)
    assert allowed - RATE.per_s * 3 <= got <= allowed + too_much


async def test_what_was_taken_at_one_node_is_missing_at_the_others_a_moment_later(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    assert nodes.greedy(0) == RATE.burst
    await trio.sleep(TELL_S + MOMENT)
    assert nodes.greedy(1) <= RATE.per_s * TELL_S + 1
    assert not nodes.limiters[2].take("acme", "bob", "send-message")


async def test_who_stays_at_one_node_loses_nothing_by_there_being_others(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    got = 0
    for _ in range(100):
        got += nodes.greedy(1)
        await trio.sleep(0.1)
    assert got >= RATE.burst + RATE.per_s * 9.5


async def test_little_is_not_worth_a_word(nodes: Nodes, autojump_clock: MockClock) -> None:
    before = nodes.network.carried
    nodes.limiters[0].take("acme", "ann", "send-message")
    await trio.sleep(TELL_S + MOMENT)
    heartbeats = 3 * 2
    assert nodes.network.carried - before <= heartbeats
    assert nodes.greedy(1) == RATE.burst


async def test_many_users_are_told_of_in_parts(nodes: Nodes, autojump_clock: MockClock) -> None:
    for number in range(PART + 1):
        nodes.limiters[0].take("acme", f"user{number}", "send-message", tokens=RATE.burst)
    await trio.sleep(TELL_S + MOMENT)
    refused = [nodes.limiters[1].take("acme", f"user{n}", "send-message", tokens=20) for n in range(PART + 1)]
    assert all(refused)


async def test_a_lonely_node_counts_nothing(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        nodes = Nodes(Network())
        limiter = await nodes.add(nursery)
        await trio.sleep(TELL_S * 2)
        nodes.greedy(0)
        assert limiter.what_was_taken(go_on=False) == {}
        nursery.cancel_scope.cancel()
