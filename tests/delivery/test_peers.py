"""What the nodes know of each other: who lives, and whether something that was said did not arrive."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
import trio
from trio.testing import MockClock

from gateway.delivery.peers import BEATS, MOST, Peers
from tests.delivery.cluster import Network
from tests.delivery.conftest import LEASE_S

HEARTBEAT = LEASE_S / BEATS
MOMENT = 0.01


class Ear:
    """One node's peers, and what they told it."""

    def __init__(
        self, nursery: trio.Nursery, network: Network, *, address: tuple[str, int] | None = None
    ) -> None:
        self.bus = network.node()
        self.peers = Peers(bus=self.bus, lease_s=LEASE_S, address=address)
        self.heard: list[tuple[str, bytes]] = []
        self.missed: list[str] = []
        self.gone: list[str] = []
        self.peers.listen("news", lambda node_id, body: self.heard.append((node_id, body)))
        self.peers.on_missed(self.missed.append)
        self.peers.on_gone(self.gone.append)
        nursery.start_soon(self.bus.run)
        nursery.start_soon(self.peers.run)

    def content(self) -> None:
        """Nothing is missed any more."""
        for node_id in self.missed:
            self.peers.caught_up(node_id)
        self.missed.clear()


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
async def pair(network: Network) -> AsyncIterator[tuple[Ear, Ear]]:
    async with trio.open_nursery() as nursery:
        one, other = Ear(nursery, network), Ear(nursery, network)
        await trio.sleep(MOMENT)
        one.content()
        other.content()
        yield one, other
        nursery.cancel_scope.cancel()


async def test_what_is_said_is_heard_in_order_with_who_said_it(pair: tuple[Ear, Ear]) -> None:
    one, other = pair
    for number in range(3):
        one.peers.say("news", b"%d" % number)
    await trio.sleep(MOMENT)
    assert other.heard == [(one.peers.node_id, body) for body in (b"0", b"1", b"2")]
    assert (one.heard, other.missed) == ([], [])


async def test_nodes_know_each_other_without_waiting_for_a_heartbeat(network: Network) -> None:
    async with trio.open_nursery() as nursery:
        one = Ear(nursery, network)
        await trio.sleep(HEARTBEAT / 2)
        other = Ear(nursery, network)
        await trio.sleep(MOMENT)
        assert (one.missed, other.missed) == ([], [])
        assert one.peers.statistics()["nodes"] == other.peers.statistics()["nodes"] == 2
        nursery.cancel_scope.cancel()


async def test_nodes_know_where_the_others_take_connections_while_they_live(network: Network) -> None:
    async with trio.open_nursery() as nursery:
        one = Ear(nursery, network, address=("10.0.0.1", 3002))
        other = Ear(nursery, network)
        await trio.sleep(MOMENT)
        assert other.peers.address_of(one.peers.node_id) == ("10.0.0.1", 3002)
        assert one.peers.address_of(other.peers.node_id) is None
        one.peers.say_goodbye()
        await trio.sleep(MOMENT)
        assert other.peers.address_of(one.peers.node_id) is None
        nursery.cancel_scope.cancel()


async def test_an_address_that_says_more_in_a_later_version_is_understood(pair: tuple[Ear, Ear]) -> None:
    one, other = pair
    address = msgspec.msgpack.encode(["10.0.0.1", 3002, "something newer"])
    one.bus.signal("alive", (0).to_bytes(8) + address)
    await trio.sleep(MOMENT)
    assert other.peers.address_of(one.peers.node_id) == ("10.0.0.1", 3002)


async def test_one_who_comes_late_has_missed_what_was_said_before_and_those_who_were_there_nothing(
    network: Network,
) -> None:
    async with trio.open_nursery() as nursery:
        one = Ear(nursery, network)
        one.peers.say("news", b"")
        late = Ear(nursery, network)
        await trio.sleep(MOMENT)
        assert (set(late.missed), one.missed) == ({one.peers.node_id}, [])
        nursery.cancel_scope.cancel()


async def test_a_gap_is_told_of_when_the_next_is_heard_which_is_not_kept_back(
    network: Network, pair: tuple[Ear, Ear]
) -> None:
    one, other = pair
    network.loses = lambda: True
    one.peers.say("news", b"lost")
    network.loses = lambda: False
    one.peers.say("news", b"next")
    await trio.sleep(MOMENT)
    assert other.heard == [(one.peers.node_id, b"next")]
    assert other.missed == [one.peers.node_id]


async def test_the_loss_of_the_last_is_told_of_by_the_heartbeat_until_it_is_made_good(
    network: Network, pair: tuple[Ear, Ear]
) -> None:
    one, other = pair
    network.loses = lambda: True
    one.peers.say("news", b"lost")
    network.loses = lambda: False
    await trio.sleep(HEARTBEAT + MOMENT)
    assert other.missed == [one.peers.node_id]
    await trio.sleep(HEARTBEAT * 2)
    assert other.missed == [one.peers.node_id] * 3
    other.content()
    await trio.sleep(HEARTBEAT * 2)
    assert other.missed == []


async def test_what_a_bus_brings_twice_is_heard_once(network: Network, pair: tuple[Ear, Ear]) -> None:
    one, other = pair
    network.copies = 2
    one.peers.say("news", b"1")
    one.peers.say("news", b"2")
    await trio.sleep(HEARTBEAT * 2)
    assert [body for _, body in other.heard] == [b"1", b"2"]
    assert other.missed == []


async def test_a_silent_node_is_gone_after_its_lease_and_told_of_once(
    network: Network, pair: tuple[Ear, Ear]
) -> None:
    one, other = pair
    network.loses = lambda: True
    await trio.sleep(LEASE_S - HEARTBEAT)
    assert one.gone == []
    await trio.sleep(HEARTBEAT * 2)
    assert one.gone == [other.peers.node_id]
    assert one.peers.alone
    await trio.sleep(LEASE_S * 3)
    assert one.gone == [other.peers.node_id]


async def test_who_says_goodbye_is_gone_at_once(pair: tuple[Ear, Ear]) -> None:
    one, other = pair
    other.peers.say_goodbye()
    await trio.sleep(MOMENT)
    assert one.gone == [other.peers.node_id]


async def test_one_who_speaks_again_is_new(network: Network, pair: tuple[Ear, Ear]) -> None:
    one, other = pair
    other.peers.say("news", b"")
    network.loses = lambda: True
    await trio.sleep(LEASE_S + HEARTBEAT + MOMENT)
    network.loses = lambda: False
    await trio.sleep(HEARTBEAT)
    assert set(one.missed) == {other.peers.node_id}
    assert not one.peers.alone


async def test_a_machine_that_stood_still_takes_nobody_for_dead(pair: tuple[Ear, Ear]) -> None:
    one, other = pair
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, MockClock)
    clock.jump(LEASE_S * 3)
    await trio.sleep(LEASE_S * 3)
    assert (one.gone, other.gone) == ([], [])


async def test_a_lonely_node_says_nothing_but_that_it_lives(network: Network) -> None:
    async with trio.open_nursery() as nursery:
        lonely = Ear(nursery, network)
        await trio.sleep(MOMENT)
        listening = network.node()
        topics: list[str] = []
        for topic in ("alive", "news"):
            listening.listen(topic, lambda _, __, topic=topic: topics.append(topic))  # type: ignore[misc]
        nursery.start_soon(listening.run)
        for _ in range(10):
            lonely.peers.say("news", b"")
        await trio.sleep(HEARTBEAT)
        assert set(topics) == {"alive"}
        nursery.cancel_scope.cancel()


async def test_more_nodes_than_can_be_are_not_kept(network: Network) -> None:
    async with trio.open_nursery() as nursery:
        one = Ear(nursery, network)
        for _ in range(MOST + 10):
            stranger = network.node()
            stranger.signal("alive", bytes(8))
            network.detach(stranger)
        await trio.sleep(MOMENT)
        assert one.peers.statistics()["nodes"] == MOST + 1
        nursery.cancel_scope.cancel()


async def test_of_the_living_nodes_one_looks_after_each_thing(network: Network) -> None:
    names = [f"room {number}" for number in range(300)]

    def owners(nodes: list[Ear]) -> dict[str, list[Ear]]:
        return {name: [node for node in nodes if node.peers.is_mine(name)] for name in names}

    async with trio.open_nursery() as nursery:
        nodes = [Ear(nursery, network) for _ in range(3)]
        await trio.sleep(MOMENT)
        before = owners(nodes)
        assert {len(found) for found in before.values()} == {1}
        for node in nodes:
            assert 50 < sum(found == [node] for found in before.values()) < 150
        nodes[2].peers.say_goodbye()
        await trio.sleep(MOMENT)
        after = owners(nodes[:2])
        assert all(after[name] == found for name, found in before.items() if found != [nodes[2]])
        assert {len(found) for found in after.values()} == {1}
        nursery.cancel_scope.cancel()


async def test_a_node_that_is_alone_looks_after_everything(network: Network) -> None:
    async with trio.open_nursery() as nursery:
        assert Ear(nursery, network).peers.is_mine("room")
        nursery.cancel_scope.cancel()
