from __future__ import annotations

from typing import cast

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gateway.chat.rooms import Rosters
from gateway.delivery.bus_memory import Exchange
from gateway.delivery.peers import Peers
from gateway.errors import NotFound
from gateway.records import Roster
from gateway.store.ports import Store
from tests.delivery.cluster import Network


class OneRoom:
    """A store of which only the roster of ``room`` is asked, and which answers when the gate is open."""

    def __init__(self) -> None:
        self.members = ["ann"]
        self.reads = 0
        self.gate = trio.Event()
        self.gate.set()

    async def roster(self, tenant_id: str, room_id: str) -> Roster | None:
        self.reads += 1
        members = tuple(self.members)
        await self.gate.wait()
        if tenant_id != "t" or room_id.startswith("no"):
            return None
        return Roster("t", room_id, members, frozenset(members), is_frozen=False)


@pytest.fixture
def store() -> OneRoom:
    return OneRoom()


def rosters_of(store: OneRoom, *, peers: Peers | None = None, bound: int = 100) -> Rosters:
    peers = peers or Peers(bus=Exchange().node(), lease_s=5)
    return Rosters(store=cast(Store, store), peers=peers, bound=bound)


async def test_a_roster_is_read_once_and_then_at_hand(store: OneRoom) -> None:
    rosters = rosters_of(store)
    assert rosters.cached("t", "room") is None
    loaded = await rosters.load("t", "room")
    assert rosters.cached("t", "room") is loaded is await rosters.load("t", "room")
    assert store.reads == 1


async def test_another_tenant_does_not_see_it(store: OneRoom) -> None:
    rosters = rosters_of(store)
    await rosters.load("t", "room")
    assert rosters.cached("other", "room") is None
    assert await rosters.load("other", "room") is None


async def test_a_forgotten_roster_is_read_anew(store: OneRoom) -> None:
    rosters = rosters_of(store)
    await rosters.load("t", "room")
    store.members.append("bob")
    rosters.forget("room")
    roster = await rosters.load("t", "room")
    assert roster is not None
    assert roster.user_ids == ("ann", "bob")


async def test_a_roster_that_changed_while_it_was_read_is_not_kept(store: OneRoom) -> None:
    rosters = rosters_of(store)
    store.gate = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rosters.load, "t", "room")
        await wait_all_tasks_blocked()
        store.members.append("bob")
        rosters.forget("room")
        store.gate.set()
    assert rosters.cached("t", "room") is None


async def test_strangers_and_unknown_rooms_get_the_same_refusal(store: OneRoom) -> None:
    rosters = rosters_of(store)
    assert (await rosters.require_participant("t", "room", "ann")).room_id == "room"
    refusals = []
    for tenant_id, room_id, user_id in [
        ("t", "room", "bob"),
        ("t", "no-room", "ann"),
        ("other", "room", "ann"),
    ]:
        with pytest.raises(NotFound) as refused:
            await rosters.require_participant(tenant_id, room_id, user_id)
        refusals.append((refused.value.message, refused.value.code))
    assert len(set(refusals)) == 1


async def test_the_cache_is_bounded_and_unknown_rooms_take_no_place(store: OneRoom) -> None:
    rosters = rosters_of(store, bound=4)
    for room_id in ["no-1", "a", "b", "no-2", "c"]:
        await rosters.load("t", room_id)
    kept = [room_id for room_id in ["a", "b", "c", "no-1", "no-2"] if rosters.cached("t", room_id)]
    assert kept == ["b", "c"]


async def test_a_large_room_takes_the_place_of_several_small_ones(store: OneRoom) -> None:
    rosters = rosters_of(store, bound=8)
    for room_id in ["a", "b", "c"]:
        await rosters.load("t", room_id)
    store.members += ["bob", "cid", "dan"]
    await rosters.load("t", "large")
    assert [room_id for room_id in ["a", "b", "c", "large"] if rosters.cached("t", room_id)] == ["c", "large"]


async def test_what_is_forgotten_or_loaded_by_two_at_once_is_counted_once(store: OneRoom) -> None:
    rosters = rosters_of(store, bound=4)
    for _ in range(3):
        async with trio.open_nursery() as nursery:
            for room_id in ["a", "b", "a", "b"]:
                nursery.start_soon(rosters.load, "t", room_id)
        assert rosters.cached("t", "a")
        assert rosters.cached("t", "b")
        rosters.forget("a")
        rosters.forget("b")


async def test_a_room_that_is_too_large_to_be_kept_is_read_all_the_same(store: OneRoom) -> None:
    rosters = rosters_of(store, bound=4)
    store.members += ["bob", "cid", "dan"]
    assert await rosters.load("t", "large") is not None
    assert rosters.cached("t", "large") is None


class TestNodes:
    """Two nodes over one store."""

    @pytest.fixture
    async def nodes(self, nursery: trio.Nursery) -> tuple[Network, list[Peers]]:
        network = Network()
        nodes = []
        for _ in range(2):
            bus = network.node()
            peers = Peers(bus=bus, lease_s=0.05)
            nodes.append(peers)
            nursery.start_soon(bus.run)
            nursery.start_soon(peers.run)
        await wait_all_tasks_blocked()
        return network, nodes

    async def test_a_roster_that_changes_on_one_node_is_read_anew_on_the_other(
        self, store: OneRoom, nodes: tuple[Network, list[Peers]]
    ) -> None:
        here, there = (rosters_of(store, peers=peers) for peers in nodes[1])
        await there.load("t", "room")
        store.members.append("bob")
        here.forget("room")
        await wait_all_tasks_blocked()
        assert there.cached("t", "room") is None

    async def test_if_word_of_it_is_lost_no_roster_is_trusted(
        self, store: OneRoom, nodes: tuple[Network, list[Peers]]
    ) -> None:
        network, peers = nodes
        here, there = (rosters_of(store, peers=one) for one in peers)
        await there.load("t", "room")
        network.loses = lambda: True
        here.forget("room")
        network.loses = lambda: False
        assert there.cached("t", "room") is not None
        with trio.fail_after(5):
            while there.cached("t", "room") is not None:  # until the next heartbeat
                await trio.lowlevel.checkpoint()
