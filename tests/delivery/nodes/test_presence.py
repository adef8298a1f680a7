"""Presence over several nodes: one tenant, one room, whichever node a device is on."""

from __future__ import annotations

import trio

from gateway.delivery.gossip import PART
from gateway.delivery.presence import Policy
from tests.delivery.cluster import Cluster, Member
from tests.delivery.conftest import GRACE_S, TENANT, offline, online, present, told
from tests.delivery.nodes.conftest import BEAT, DEATH, quiet


class TestTenant:
    async def test_who_connects_to_one_node_is_online_for_those_on_the_other(
        self, north: Member, south: Member
    ) -> None:
        ann = north.connect("ann")
        await quiet(ann)
        bob = south.connect("bob")
        await trio.sleep(BEAT)
        assert told(ann) == [online("bob")]
        assert await north.snapshot("ann") == await south.snapshot("bob") == {"ann", "bob"}
        south.disconnect(bob)
        await trio.sleep(GRACE_S + BEAT)
        assert told(ann) == [offline("bob")]

    async def test_a_device_on_each_node_counts_until_the_last_has_gone(
        self, north: Member, south: Member
    ) -> None:
        ann, phone, tablet = north.connect("ann"), north.connect("bob"), south.connect("bob")
        await quiet(ann)
        north.disconnect(phone)
        await trio.sleep(GRACE_S * 2)
        assert told(ann) == []
        south.disconnect(tablet)
        await trio.sleep(GRACE_S + BEAT)
        assert told(ann) == [offline("bob")]

    async def test_a_reconnect_to_another_node_within_the_grace_is_hidden(
        self, north: Member, south: Member
    ) -> None:
        ann, cyn = north.connect("ann"), south.connect("cyn")
        device, node = north.connect("bob"), north
        await quiet(ann, cyn)
        for _ in range(10):
            node.disconnect(device)
            await trio.sleep(GRACE_S - 0.5)
            node = south if node is north else north
            device = node.connect("bob")
            await trio.sleep(1)
        assert (told(ann), told(cyn)) == ([], [])

    async def test_a_node_that_comes_late_knows_who_has_been_online_before(
        self, cluster: Cluster, north: Member, south: Member
    ) -> None:
        users = {f"user{number}" for number in range(PART * 2 + 1)}  # a snapshot of three parts
        for user in users:
            north.connect(user)
        south.connect("sue")
        await trio.sleep(60)  # long after what was told of them
        late = await cluster.node()
        await trio.sleep(BEAT)
        assert await late.snapshot("sue") == users | {"sue"}

    async def test_a_node_that_starts_can_wait_until_it_knows_who_is_online(
        self, cluster: Cluster, north: Member, south: Member
    ) -> None:
        north.connect("ann")
        south.connect("bob")
        await quiet()
        late = await cluster.node()
        await late.peers.wait_acquainted()
        assert await late.snapshot("sue") == {"ann", "bob", "sue"}

    async def test_it_does_not_wait_for_what_does_not_come(
        self, cluster: Cluster, north: Member, south: Member
    ) -> None:
        north.connect("ann")
        await quiet()
        late = await cluster.node()
        cluster.deafen(north, to=late)
        with trio.fail_after(3):
            await late.peers.wait_acquainted()

    async def test_another_tenant_learns_nothing(self, north: Member, south: Member) -> None:
        stranger = south.connect("sue", tenant_id="elsewhere")
        await quiet(stranger)
        north.connect("ann")
        await trio.sleep(BEAT)
        assert told(stranger) == []

    async def test_those_who_meet_learn_of_each_other_on_all_nodes(
        self, north: Member, south: Member
    ) -> None:
        north.policy = south.policy = Policy("contacts", 2_000)
        ann, bob = north.connect("ann"), south.connect("bob")
        await quiet(ann, bob)
        north.presence.met(TENANT, ["ann", "bob"], ["ann", "bob"])
        await trio.sleep(BEAT)
        assert (told(ann), told(bob)) == ([online("bob")], [online("ann")])

    async def test_a_node_without_users_of_a_tenant_asks_nothing_on_its_behalf(
        self, north: Member, south: Member
    ) -> None:
        north.policy = south.policy = Policy("contacts", 2_000)
        north.connect("ann")
        await quiet()
        assert (north.contacts.asked, south.contacts.asked) == (1, 0)

    async def test_a_storm_of_users_is_a_handful_of_signals(
        self, cluster: Cluster, north: Member, south: Member
    ) -> None:
        ann = south.connect("ann")
        await quiet(ann)
        before = cluster.network.carried
        for number in range(PART * 3):
            north.connect(f"user{number}")
        await trio.sleep(BEAT)
        assert cluster.network.carried - before <= 4  # three parts, and perhaps a heartbeat
        assert len(told(ann)) == PART * 3


class TestRoom:
    async def test_a_room_is_one_for_those_on_all_nodes(self, north: Member, south: Member) -> None:
        ann, bob = north.connect("ann"), south.connect("bob")
        north.presence.enter(ann, "r1")
        await quiet(ann, bob)
        south.presence.enter(bob, "r1")
        assert told(bob)[1] == ("presence-snapshot", {"onlineUserIds": ["ann", "bob"]})
        await trio.sleep(BEAT)
        assert told(ann) == [present("bob")]
        south.presence.leave(bob)
        await trio.sleep(BEAT)
        assert told(ann) == [present("bob", here=False)]

    async def test_coming_back_to_the_room_through_another_node_within_the_grace_is_hidden(
        self, north: Member, south: Member
    ) -> None:
        ann, bob = north.connect("ann"), south.connect("bob")
        north.presence.enter(ann, "r1")
        south.presence.enter(bob, "r1")
        await quiet(ann, bob)
        south.disconnect(bob)
        await trio.sleep(GRACE_S - 0.5)
        again = north.connect("bob")
        north.presence.enter(again, "r1")
        await trio.sleep(GRACE_S * 2)
        assert told(ann) == []

    async def test_the_room_is_left_by_those_of_a_dead_node(self, north: Member, south: Member) -> None:
        ann, bob = north.connect("ann"), south.connect("bob")
        north.presence.enter(ann, "r1")
        south.presence.enter(bob, "r1")
        await quiet(ann, bob)
        south.die()
        await trio.sleep(DEATH)
        assert told(ann) == [present("bob", here=False), offline("bob")]

    async def test_a_device_in_the_room_on_each_node_counts_until_the_last_has_left(
        self, north: Member, south: Member
    ) -> None:
        ann, phone, tablet = north.connect("ann"), north.connect("bob"), south.connect("bob")
        for node, device in ((north, ann), (north, phone), (south, tablet)):
            node.presence.enter(device, "r1")
        await quiet(ann)
        north.presence.leave(phone)
        await trio.sleep(BEAT)
        assert told(ann) == []
        south.presence.leave(tablet)
        await trio.sleep(BEAT)
        assert told(ann) == [present("bob", here=False)]

    async def test_nothing_is_remembered_of_those_who_have_gone(self, north: Member, south: Member) -> None:
        for number in range(50):
            device = south.connect(f"user{number}")
            south.presence.enter(device, f"room{number}")
            south.disconnect(device)
        await trio.sleep(GRACE_S + BEAT * 2)
        for node in (north, south):
            assert node.presence.statistics() == {"online": 0, "grace": 0}
        assert await north.snapshot("ann") == {"ann"}
