"""Presence when a node dies, is cut off, ends, or misses something: they agree again."""

from __future__ import annotations

from itertools import count

import pytest
import trio

from gateway.delivery.gossip import PART
from tests.delivery.cluster import Cluster, Member, View
from tests.delivery.conftest import GRACE_S, LEASE_S, offline, online, told
from tests.delivery.nodes.conftest import BEAT, DEATH, HEARTBEAT, quiet


class TestDeath:
    async def test_the_users_of_a_dead_node_are_offline_after_lease_and_grace(
        self, north: Member, south: Member
    ) -> None:
        ann = north.connect("ann")
        south.connect("bob")
        await quiet(ann)
        south.die()
        await trio.sleep(LEASE_S + GRACE_S - HEARTBEAT)
        assert told(ann) == []
        assert await north.snapshot("ann") == {"ann", "bob"}
        await trio.sleep(HEARTBEAT * 2 + BEAT)
        assert told(ann) == [offline("bob")]
        assert await north.snapshot("ann") == {"ann"}
        assert north.peers.alone

    async def test_one_who_comes_back_elsewhere_meanwhile_is_never_shown_offline(
        self, north: Member, south: Member
    ) -> None:
        ann = north.connect("ann")
        south.connect("bob")
        await quiet(ann)
        south.die()
        await trio.sleep(LEASE_S)
        north.connect("bob")
        await trio.sleep(DEATH)
        assert told(ann) == []
        assert await north.snapshot("ann") == {"ann", "bob"}

    async def test_a_node_that_says_goodbye_leaves_its_users_the_grace_and_no_lease(
        self, north: Member, south: Member
    ) -> None:
        ann = north.connect("ann")
        south.connect("bob")
        await quiet(ann)
        await south.stop()
        await trio.sleep(GRACE_S - BEAT)
        assert told(ann) == []
        await trio.sleep(BEAT * 3)
        assert told(ann) == [offline("bob")]

    async def test_a_rolling_restart_shows_nobody_offline(self, cluster: Cluster) -> None:
        nodes = [await cluster.node() for _ in range(3)]
        await quiet()
        everybody = {f"user{number}" for number in range(30)}
        homes = {user: nodes[number % 3] for number, user in enumerate(sorted(everybody))}
        devices = {user: node.connect(user) for user, node in homes.items()}
        await quiet(*devices.values())
        views = {user: View(set(everybody)) for user in everybody}
        for old in range(3):
            new = await cluster.node()
            await quiet()  # a node listens when it has heard the others
            leaving = [user for user in everybody if homes[user] is nodes[old]]
            for user in everybody:
                views[user].watch(devices[user])
            await nodes[old].stop()
            for number, user in enumerate(leaving):
                await trio.sleep(GRACE_S / len(leaving) / 2)
                homes[user] = new if number % 2 else nodes[(old + 1) % 3]
                doubts = views[user].doubts
                views[user] = View(await homes[user].snapshot(user))
                views[user].doubts = doubts
                devices[user] = homes[user].connect(user)
            nodes[old] = new
            await trio.sleep(DEATH)
        for user in everybody:
            views[user].watch(devices[user])
        assert [view.online for view in views.values()] == [everybody] * 30
        assert set[str]().union(*(view.doubts for view in views.values())) == set()


class TestLoss:
    async def test_what_was_lost_is_found_out_within_a_heartbeat(
        self, cluster: Cluster, north: Member, south: Member
    ) -> None:
        ann = north.connect("ann")
        await quiet(ann)
        cluster.network.loses = lambda: True
        south.connect("bob")
        await trio.sleep(BEAT)
        cluster.network.loses = lambda: False
        assert told(ann) == []
        await trio.sleep(HEARTBEAT + BEAT)
        assert told(ann) == [online("bob")]

    @pytest.mark.parametrize("number", range(12))
    async def test_whatever_is_lost_when_a_node_comes_is_made_good(
        self, cluster: Cluster, north: Member, number: int
    ) -> None:
        users = {f"user{number}" for number in range(PART * 3)}
        for user in users:
            north.connect(user)
        await quiet()
        messages = count()
        cluster.network.loses = lambda: next(messages) == number
        late = await cluster.node()
        await trio.sleep(HEARTBEAT * 2 + BEAT)
        assert await late.snapshot("sue") == users | {"sue"}
        assert next(messages) > number  # it was really one of them

    async def test_nodes_that_are_cut_apart_lose_each_others_users_and_find_them_again(
        self, cluster: Cluster, north: Member, south: Member
    ) -> None:
        ann, bob = north.connect("ann"), south.connect("bob")
        await quiet(ann, bob)
        cluster.cut(north, south)
        await trio.sleep(DEATH)
        assert (told(ann), told(bob)) == ([offline("bob")], [offline("ann")])
        south.connect("cyn")
        await quiet(bob)
        cluster.heal()
        await trio.sleep(HEARTBEAT + BEAT)
        assert sorted(told(ann), key=str) == [online("bob"), online("cyn")]
        assert told(bob) == [online("ann")]

    async def test_a_cut_shorter_than_the_lease_shows_only_what_really_changed(
        self, cluster: Cluster, north: Member, south: Member
    ) -> None:
        ann, bob = north.connect("ann"), south.connect("bob")
        cyn = south.connect("cyn")
        await quiet(ann, bob)
        cluster.cut(north, south)
        south.disconnect(cyn)
        await trio.sleep(LEASE_S - HEARTBEAT)
        cluster.heal()
        await trio.sleep(GRACE_S + HEARTBEAT + BEAT)
        assert told(ann) == [offline("cyn")]
        assert told(bob) == [offline("cyn")]

    async def test_one_who_comes_back_just_when_his_node_was_given_up_is_not_shown_offline(
        self, cluster: Cluster, north: Member, south: Member
    ) -> None:
        ann = north.connect("ann")
        south.connect("bob")
        await quiet(ann)
        cluster.cut(north, south)
        await trio.sleep(LEASE_S + HEARTBEAT)  # given up, in its grace
        cluster.heal()
        await trio.sleep(DEATH)
        assert told(ann) == []

    async def test_the_first_word_of_a_node_that_had_been_given_up_before_it_holds(
        self, cluster: Cluster, north: Member, south: Member
    ) -> None:
        third = await cluster.node()
        cluster.cut(north, south)  # the third keeps north from being alone
        await trio.sleep(LEASE_S + HEARTBEAT)
        cluster.heal()
        await trio.sleep(HEARTBEAT)
        north.connect("ann")
        await trio.sleep(DEATH)
        assert await south.snapshot("bob") == await third.snapshot("bob") == {"ann", "bob"}

    async def test_a_node_that_is_heard_is_not_given_up_because_it_does_not_hear(
        self, cluster: Cluster, north: Member, south: Member
    ) -> None:
        ann = north.connect("ann")
        south.connect("bob")
        await quiet(ann)
        cluster.cut(north, south)
        await trio.sleep(LEASE_S + HEARTBEAT)  # given up, in its grace
        cluster.heal()
        cluster.deafen(south, to=north)  # it lives, but is not asked successfully what it says now
        await trio.sleep(DEATH)
        assert told(ann) == []
        assert await north.snapshot("ann") == {"ann", "bob"}

    async def test_what_a_node_said_while_it_thought_itself_alone_is_known_afterwards(
        self, cluster: Cluster, north: Member, south: Member
    ) -> None:
        ann = north.connect("ann")
        await quiet(ann)
        cluster.deafen(south, to=north)
        await trio.sleep(LEASE_S + HEARTBEAT)
        assert south.peers.alone
        south.connect("bob")
        await trio.sleep(HEARTBEAT)
        cluster.heal()
        await trio.sleep(HEARTBEAT + BEAT)
        assert told(ann) == [online("bob")]

    async def test_a_question_that_was_lost_is_asked_again(
        self, cluster: Cluster, north: Member, south: Member
    ) -> None:
        ann = north.connect("ann")
        await quiet(ann)
        cluster.cut(north, south)
        south.connect("bob")
        await trio.sleep(BEAT)
        cluster.heal()
        cluster.deafen(south, to=north)
        await trio.sleep(HEARTBEAT * 2)
        cluster.heal()
        await trio.sleep(HEARTBEAT + BEAT)
        assert told(ann) == [online("bob")]

    async def test_who_asks_at_the_same_time_is_answered_once(
        self, cluster: Cluster, north: Member, south: Member
    ) -> None:
        for number in range(PART * 4):
            north.connect(f"user{number}")
        others = [south, *[await cluster.node() for _ in range(4)]]
        await quiet()
        cluster.network.loses = lambda: True
        north.connect("bob")
        await trio.sleep(BEAT)
        cluster.network.loses = lambda: False
        before = north.peers.statistics()["said"]
        await trio.sleep(HEARTBEAT + BEAT)
        assert north.peers.statistics()["said"] == before + 5
        for node in others:
            assert "bob" in await node.snapshot("ann")
