"""Presence: who is online, who has a room open, who is told of it and when (contract 4.4 and 4.6)."""

from __future__ import annotations

import pytest
import trio

from gateway.delivery.presence import AGAIN_S, BEAT_S, MEETING, Policy
from gateway.delivery.session import Session
from tests.delivery.conftest import GRACE_S, TENANT, Node, told

BEAT = BEAT_S * 2  # long enough for a beat to be over, far shorter than the grace


def online(user_id: str) -> tuple[str, dict[str, object]]:
    return "tenant-presence", {"userId": user_id, "online": True}


def offline(user_id: str) -> tuple[str, dict[str, object]]:
    return "tenant-presence", {"userId": user_id, "online": False}


def present(user_id: str, *, here: bool = True) -> tuple[str, dict[str, object]]:
    return "presence", {"userId": user_id, "online": here}


async def quiet(*devices: Session) -> None:
    """Let the beat pass and forget what was told."""
    await trio.sleep(BEAT)
    for device in devices:
        told(device)


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


class TestRoom:
    async def test_entering_answers_the_one_and_tells_the_others(self, node: Node) -> None:
        ann, bob, out = node.connect("ann"), node.connect("bob"), node.connect("out")
        await quiet(ann, bob, out)
        node.presence.enter(ann, "r1")
        assert told(ann) == [
            ("joined-room", {"roomId": "r1"}),
            ("presence-snapshot", {"onlineUserIds": ["ann"]}),
        ]
        node.presence.enter(bob, "r1")
        assert told(bob) == [
            ("joined-room", {"roomId": "r1"}),
            ("presence-snapshot", {"onlineUserIds": ["ann", "bob"]}),
        ]
        assert told(ann) == [present("bob")]
        assert told(out) == []

    async def test_leaving_tells_the_others_at_once(self, node: Node) -> None:
        ann, bob = node.connect("ann"), node.connect("bob")
        node.presence.enter(ann, "r1")
        node.presence.enter(bob, "r1")
        await quiet(ann, bob)
        node.presence.leave(bob)
        assert told(bob) == [("left-room", {"roomId": "r1"})]
        assert told(ann) == [present("bob", here=False)]

    async def test_leaving_no_room_says_nothing(self, node: Node) -> None:
        ann = node.connect("ann")
        await quiet(ann)
        node.presence.leave(ann)
        assert told(ann) == []

    async def test_entering_the_room_that_is_open_only_answers_again(self, node: Node) -> None:
        ann, bob = node.connect("ann"), node.connect("bob")
        node.presence.enter(ann, "r1")
        node.presence.enter(bob, "r1")
        await quiet(ann, bob)
        node.presence.enter(bob, "r1")
        assert [name for name, _ in told(bob)] == ["joined-room", "presence-snapshot"]
        assert told(ann) == []
        node.presence.leave(bob)
        assert told(ann) == [present("bob", here=False)]

    async def test_a_user_is_in_the_room_as_long_as_any_of_his_devices(self, node: Node) -> None:
        ann, phone, tablet = node.connect("ann"), node.connect("bob"), node.connect("bob")
        node.presence.enter(ann, "r1")
        node.presence.enter(phone, "r1")
        await quiet(ann)
        node.presence.enter(tablet, "r1")
        node.presence.leave(phone)
        assert told(ann) == []
        node.presence.leave(tablet)
        assert told(ann) == [present("bob", here=False)]

    async def test_the_other_devices_of_a_user_are_not_told_of_himself_twice(self, node: Node) -> None:
        phone, tablet = node.connect("bob"), node.connect("bob")
        node.presence.enter(phone, "r1")
        await quiet(phone, tablet)
        node.presence.enter(tablet, "r1")
        assert told(phone) == []
        assert told(tablet)[1] == ("presence-snapshot", {"onlineUserIds": ["bob"]})

    async def test_a_reconnect_that_comes_back_to_the_room_within_the_grace_is_hidden(
        self, node: Node
    ) -> None:
        ann, bob = node.connect("ann"), node.connect("bob")
        node.presence.enter(ann, "r1")
        node.presence.enter(bob, "r1")
        await quiet(ann)
        node.disconnect(bob)
        await trio.sleep(GRACE_S - 0.5)
        again = node.connect("bob")
        node.presence.enter(again, "r1")
        await trio.sleep(GRACE_S * 2)
        assert told(ann) == []
        assert told(again)[1] == ("presence-snapshot", {"onlineUserIds": ["ann", "bob"]})

    async def test_during_the_grace_he_is_still_in_the_list(self, node: Node) -> None:
        ann, bob = node.connect("ann"), node.connect("bob")
        node.presence.enter(bob, "r1")
        node.disconnect(bob)
        await quiet(ann)
        node.presence.enter(ann, "r1")
        assert told(ann)[1] == ("presence-snapshot", {"onlineUserIds": ["bob", "ann"]})
        await trio.sleep(GRACE_S + BEAT)
        assert present("bob", here=False) in told(ann)

    async def test_one_who_does_not_come_back_has_left_when_the_grace_is_over(self, node: Node) -> None:
        ann, bob = node.connect("ann"), node.connect("bob")
        node.presence.enter(ann, "r1")
        node.presence.enter(bob, "r1")
        await quiet(ann)
        node.disconnect(bob)
        await trio.sleep(GRACE_S - 0.1)
        assert told(ann) == []
        await trio.sleep(0.2)
        assert present("bob", here=False) in told(ann)

    async def test_one_who_comes_back_elsewhere_has_left_all_the_same(self, node: Node) -> None:
        ann, bob = node.connect("ann"), node.connect("bob")
        node.presence.enter(ann, "r1")
        node.presence.enter(bob, "r1")
        await quiet(ann)
        node.disconnect(bob)
        again = node.connect("bob")
        node.presence.enter(again, "r2")
        await trio.sleep(GRACE_S + BEAT)
        assert told(ann) == [present("bob", here=False)]

    async def test_losing_one_of_two_devices_in_the_room_says_nothing(self, node: Node) -> None:
        ann, phone, tablet = node.connect("ann"), node.connect("bob"), node.connect("bob")
        for device in (ann, phone, tablet):
            node.presence.enter(device, "r1")
        await quiet(ann)
        node.disconnect(phone)
        await trio.sleep(GRACE_S + BEAT)
        assert told(ann) == []
        node.presence.leave(tablet)
        assert told(ann) == [present("bob", here=False)]

    async def test_one_who_comes_back_and_leaves_by_himself_has_left_once(self, node: Node) -> None:
        ann, bob = node.connect("ann"), node.connect("bob")
        node.presence.enter(ann, "r1")
        node.presence.enter(bob, "r1")
        await quiet(ann)
        node.disconnect(bob)
        again = node.connect("bob")
        node.presence.enter(again, "r1")
        node.presence.leave(again)
        await trio.sleep(GRACE_S * 2)
        assert told(ann) == [present("bob", here=False)]


class TestExpelling:
    async def test_every_device_that_has_the_room_open_leaves_it(self, node: Node) -> None:
        ann, phone, tablet = node.connect("ann"), node.connect("bob"), node.connect("bob")
        node.presence.enter(ann, "r1")
        node.presence.enter(phone, "r1")
        node.presence.enter(tablet, "r2")
        await quiet(ann, phone, tablet)
        node.presence.expel(TENANT, "bob", "r1")
        assert told(phone) == [("left-room", {"roomId": "r1"})]
        assert (told(tablet), tablet.room_id) == ([], "r2")
        assert told(ann) == [present("bob", here=False)]

    async def test_no_grace_holds_for_one_whose_device_was_lost(self, node: Node) -> None:
        ann, bob = node.connect("ann"), node.connect("bob")
        node.presence.enter(ann, "r1")
        node.presence.enter(bob, "r1")
        await quiet(ann, bob)
        node.disconnect(bob)
        node.presence.expel(TENANT, "bob", "r1")
        assert told(ann) == [present("bob", here=False)]
        await trio.sleep(GRACE_S + BEAT)
        assert [event for event in told(ann) if event[0] == "presence"] == []

    async def test_one_who_has_not_opened_the_room_notices_nothing(self, node: Node) -> None:
        ann, bob = node.connect("ann"), node.connect("bob")
        node.presence.enter(ann, "r1")
        await quiet(ann, bob)
        node.presence.expel(TENANT, "bob", "r1")
        assert (told(ann), told(bob)) == ([], [])
