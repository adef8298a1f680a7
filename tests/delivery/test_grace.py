"""The grace in a storm: who stands in line to come back is not shown offline."""

from __future__ import annotations

import trio

from gateway.delivery.grace import STORM_S, STORM_STEP_S
from tests.delivery.conftest import BEAT, GRACE_S, Node, quiet, told

GONE = ("tenant-presence", {"userId": "bob", "online": False})


async def test_in_a_storm_nobody_is_shown_offline_until_it_is_over(node: Node) -> None:
    ann, bob = node.connect("ann"), node.connect("bob")
    await quiet(ann)
    node.in_storm = True
    node.disconnect(bob)
    await trio.sleep(GRACE_S + STORM_S / 2)
    assert told(ann) == []
    node.in_storm = False
    await trio.sleep(STORM_STEP_S + BEAT)
    assert told(ann) == [GONE]


async def test_who_is_let_in_late_in_a_storm_was_never_away(node: Node) -> None:
    ann, bob = node.connect("ann"), node.connect("bob")
    node.presence.enter(ann, "room")
    node.presence.enter(bob, "room")
    await quiet(ann)
    node.in_storm = True
    node.disconnect(bob)
    await trio.sleep(GRACE_S + STORM_S / 2)
    node.presence.enter(node.connect("bob"), "room")
    node.in_storm = False
    await trio.sleep(GRACE_S + STORM_S)
    assert told(ann) == []  # neither of the tenant nor of the room


async def test_those_who_never_say_who_they_are_hold_nothing_up_for_ever(node: Node) -> None:
    ann, bob = node.connect("ann"), node.connect("bob")
    await quiet(ann)
    node.in_storm = True
    node.disconnect(bob)
    await trio.sleep(GRACE_S + STORM_S + STORM_STEP_S + BEAT)
    assert told(ann) == [GONE]
