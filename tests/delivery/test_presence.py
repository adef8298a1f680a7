"""Presence: who is online, who is told of it and when (contract 4.4 and 4.6)."""

from __future__ import annotations

import pytest
import trio

from gateway.delivery.presence import AGAIN_S, MEETING, Policy
from gateway.delivery.session import Session
from tests.delivery.conftest import BEAT, GRACE_S, TENANT, Node, offline, online, quiet, told


class TestTenant:
    async def test_everybody_learns_that_a_user_comes_and_goes(self, node: Node) -> None:
        ann, bob = node.connect("ann"), node.connect("bob")
        await quiet(ann, bob)
        cyn = node.connect("cyn")
        await trio.sleep(BEAT)
        assert [told(device) for device in (ann, bob, cyn)] == [[online("cyn")]] * 3
        node.disconnect(cyn)
        await trio.sleep(GRACE_S + BEAT)
        assert [told(device) for device in (ann, bob)] == [[offline("cyn")]] * 2

    async def test_another_tenant_learns_nothing(self, node: Node) -> None:
        stranger = node.connect("sue", tenant_id="elsewhere")
        await quiet(stranger)
        node.disconnect(node.connect("ann"))
        await trio.sleep(GRACE_S + BEAT)
        assert told(stranger) == []

    async def test_a_second_device_changes_nothing_nor_does_losing_one_of_two(self, node: Node) -> None:
        ann, bob = node.connect("ann"), node.connect("bob")
        await quiet(ann, bob)
        second = node.connect("bob")
        node.disconnect(bob)
        await trio.sleep(GRACE_S * 2)
        assert (told(ann), told(second)) == ([], [])
        assert await node.snapshot("ann") == {"ann", "bob"}

    async def test_a_reconnect_within_the_grace_is_hidden(self, node: Node) -> None:
        ann = node.connect("ann")
        device = node.connect("bob")
        await quiet(ann, device)
        for _ in range(10):
            node.disconnect(device)
            await trio.sleep(GRACE_S - 0.1)
            assert await node.snapshot("ann") == {"ann", "bob"}
            device = node.connect("bob")
            await trio.sleep(1)
        assert told(ann) == []

    async def test_the_grace_begins_with_the_last_device(self, node: Node) -> None:
        ann, bob, second = node.connect("ann"), node.connect("bob"), node.connect("bob")
        await quiet(ann)
        node.disconnect(bob)
        await trio.sleep(GRACE_S - 1)
        node.disconnect(second)
        await trio.sleep(GRACE_S - 0.5)
        assert told(ann) == []
        await trio.sleep(1)
        assert told(ann) == [offline("bob")]

    async def test_one_who_comes_back_after_the_grace_is_announced_again(self, node: Node) -> None:
        ann = node.connect("ann")
        node.disconnect(node.connect("bob"))
        await quiet(ann)
        await trio.sleep(GRACE_S + BEAT)
        node.connect("bob")
        await trio.sleep(BEAT)
        assert told(ann) == [offline("bob"), online("bob")]

    async def test_what_changes_in_one_beat_is_one_write_for_each_viewer(self, node: Node) -> None:
        ann = node.connect("ann")
        await quiet(ann)
        for number in range(100):
            node.connect(f"user{number}")
        await trio.sleep(BEAT)
        assert len(ann.outbox.queue) == 1
        assert told(ann) == [online(f"user{number}") for number in range(100)]

    async def test_all_viewers_share_what_is_written(self, node: Node) -> None:
        viewers = [node.connect("ann"), node.connect("bob")]
        await trio.sleep(BEAT)
        first, second = (viewer.outbox.take() for viewer in viewers)
        assert first[0] is second[0]

    async def test_at_the_end_a_viewer_knows_the_truth_whatever_happened_between(self, node: Node) -> None:
        ann = node.connect("ann")
        known = {"ann"}
        devices: dict[str, Session] = {}
        for step in range(200):
            user = f"user{step * 7 % 11}"
            if user in devices:
                node.disconnect(devices.pop(user))
            else:
                devices[user] = node.connect(user)
            await trio.sleep(step % 13 * 0.7)
        await trio.sleep(GRACE_S + BEAT)
        for _, change in told(ann):
            (known.add if change["online"] else known.discard)(change["userId"])
        assert known == {"ann", *devices} == await node.snapshot("ann")

    async def test_nothing_is_left_of_users_who_have_gone(self, node: Node) -> None:
        for number in range(50):
            node.disconnect(node.connect(f"user{number}"))
        assert node.presence.statistics() == {"online": 50, "grace": 50}
        await trio.sleep(GRACE_S + BEAT)
        assert node.presence.statistics() == {"online": 0, "grace": 0}


class TestSnapshot:
    async def test_it_holds_everybody_online_and_those_in_their_grace(self, node: Node) -> None:
        node.connect("ann")
        node.connect("bob", tenant_id="elsewhere")
        node.disconnect(node.connect("cyn"))
        assert await node.snapshot("ann") == {"ann", "cyn"}
        await trio.sleep(GRACE_S + BEAT)
        assert await node.snapshot("ann") == {"ann"}

    @pytest.mark.parametrize("scope", ["tenant", "contacts"])
    async def test_it_holds_the_viewer_who_is_about_to_arrive(self, node: Node, scope: str) -> None:
        node.policy = Policy(scope, 2_000)  # type: ignore[arg-type]
        assert await node.snapshot("ann") == {"ann"}

    async def test_of_contacts_it_holds_those_who_share_a_room(self, node: Node) -> None:
        node.policy = Policy("contacts", 2_000)
        node.contacts.meet("ann", "bob")
        node.contacts.meet("ann", "absent")
        for user in ("ann", "bob", "cyn"):
            node.connect(user)
        assert await node.snapshot("ann") == {"ann", "bob"}
        assert await node.snapshot("cyn") == {"cyn"}


class TestContacts:
    async def test_only_those_who_share_a_room_learn_of_a_change(self, node: Node) -> None:
        node.policy = Policy("contacts", 2_000)
        node.contacts.meet("ann", "bob")
        ann, cyn = node.connect("ann"), node.connect("cyn")
        await quiet(ann, cyn)
        bob = node.connect("bob")
        await trio.sleep(BEAT)
        assert (told(ann), told(cyn)) == ([online("bob")], [])
        node.disconnect(bob)
        await trio.sleep(GRACE_S + BEAT)
        assert (told(ann), told(cyn)) == ([offline("bob")], [])

    async def test_above_the_limit_the_tenant_becomes_contacts_by_itself(self, node: Node) -> None:
        node.policy = Policy("auto", 3)
        node.contacts.meet("ann", "dan")
        ann, bob = node.connect("ann"), node.connect("bob")
        await quiet(ann, bob)
        node.connect("cyn")  # three: still everybody
        await trio.sleep(BEAT)
        assert (told(ann), told(bob)) == ([online("cyn")], [online("cyn")])
        assert await node.snapshot("bob") == {"ann", "bob", "cyn"}
        dan = node.connect("dan")  # four
        await trio.sleep(BEAT)
        assert (told(ann), told(bob)) == ([online("dan")], [])
        assert await node.snapshot("ann") == {"ann", "dan"}
        node.disconnect(dan)
        await trio.sleep(GRACE_S + BEAT)  # three again
        assert await node.snapshot("bob") == {"ann", "bob", "cyn"}

    async def test_those_who_meet_in_a_room_learn_of_each_other_at_once(self, node: Node) -> None:
        node.policy = Policy("contacts", 2_000)
        ann, bob, out = node.connect("ann"), node.connect("bob"), node.connect("out")
        await quiet(ann, bob, out)
        node.presence.met(TENANT, ["ann", "bob"], ["ann", "bob", "absent"])
        await trio.sleep(BEAT)
        assert (told(ann), told(bob), told(out)) == ([online("bob")], [online("ann")], [])

    async def test_a_newcomer_learns_of_all_and_those_who_were_there_of_him_alone(self, node: Node) -> None:
        node.policy = Policy("contacts", 2_000)
        ann, bob, cyn = node.connect("ann"), node.connect("bob"), node.connect("cyn")
        await quiet(ann, bob, cyn)
        node.presence.met(TENANT, ["cyn"], ["ann", "bob", "cyn"])
        await trio.sleep(BEAT)
        assert (told(ann), told(bob)) == ([online("cyn")], [online("cyn")])
        assert told(cyn) == [online("ann"), online("bob")]

    async def test_where_everybody_sees_everybody_meeting_says_nothing(self, node: Node) -> None:
        ann, bob = node.connect("ann"), node.connect("bob")
        await quiet(ann, bob)
        node.presence.met(TENANT, ["ann", "bob"], ["ann", "bob"])
        await trio.sleep(BEAT)
        assert (told(ann), told(bob)) == ([], [])

    async def test_in_a_large_room_they_learn_of_each_other_by_and_by(self, node: Node) -> None:
        node.policy = Policy("contacts", 2_000)
        ann = node.connect("ann")
        others = [f"user{number}" for number in range(MEETING)]
        for user in others:
            node.connect(user)
        await quiet(ann)
        node.presence.met(TENANT, ["ann"], ["ann", *others])
        await trio.sleep(BEAT)
        assert told(ann) == []

    async def test_what_happens_while_the_store_is_away_is_told_when_it_is_back_as_it_is_then(
        self, node: Node
    ) -> None:
        node.policy = Policy("contacts", 2_000)
        node.contacts.meet("ann", "bob", "cyn", "dan")
        ann, dan = node.connect("ann"), node.connect("dan")
        await quiet(ann, dan)
        node.contacts.away = True
        bob = node.connect("bob")
        await trio.sleep(BEAT)
        node.connect("cyn")
        node.disconnect(bob)
        await trio.sleep(GRACE_S + BEAT)
        assert told(ann) == []
        node.contacts.away = False
        await trio.sleep(AGAIN_S + BEAT)
        assert sorted(told(ann), key=str) == sorted([online("cyn"), offline("bob")], key=str)

    async def test_a_bug_that_shows_once_does_not_end_presence(self, node: Node) -> None:
        node.policy = Policy("contacts", 2_000)
        node.contacts.meet("ann", "bob", "cyn")
        ann = node.connect("ann")
        await quiet(ann)
        node.contacts.broken = True
        node.connect("bob")
        await trio.sleep(BEAT)
        node.connect("cyn")
        await trio.sleep(1)
        assert online("cyn") in told(ann)
