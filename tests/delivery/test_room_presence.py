"""Presence in a room: who has it open, who is told of it, and who is made to leave (contract 4.4 and 4.5)."""

from __future__ import annotations

import trio

from tests.delivery.conftest import BEAT, GRACE_S, TENANT, Node, present, quiet, told


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
