"""The one active room of a connection, and the typing states that the server ends itself (contract 4.5, 4.6)."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Opener
from tests.support.devices import Device
from tests.support.platform import Person, Platform


def join(device: Device, person: Person, room_id: str) -> None:
    device.emit("join-room", {"roomId": room_id, "userId": person.id})
    device.inbox.take("joined-room", roomId=room_id)


def start_typing(device: Device, person: Person, room_id: str) -> None:
    device.emit("typing", {"roomId": room_id, "userId": person.id, "isTyping": True})


def test_a_join_leaves_the_room_that_was_active_before(platform: Platform, device: Opener) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    first, second = platform.room(ann, bob), platform.room(ann, bob)
    of_ann, of_bob = device(ann), device(bob)
    join(of_bob, bob, first.id)
    join(of_ann, ann, first.id)
    of_bob.inbox.take("presence", userId=ann.id, online=True)

    join(of_ann, ann, second.id)

    of_ann.inbox.take("left-room", roomId=first.id)
    of_bob.inbox.take("presence", userId=ann.id, online=False)


@pytest.mark.parametrize("form", ["object", "bare string"])
def test_leaving_a_room_that_is_not_active_does_nothing_to_the_active_one(
    platform: Platform, device: Opener, form: str
) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    old, active = platform.room(ann, bob), platform.room(ann, bob)
    of_ann, of_bob = device(ann), device(bob)
    join(of_bob, bob, active.id)
    join(of_ann, ann, active.id)
    of_bob.inbox.take("presence", userId=ann.id, online=True)

    # At a room switch the published client may leave the old room after it has joined the new one.
    of_ann.call("leave-room", old.id if form == "bare string" else {"roomId": old.id, "userId": ann.id})

    of_bob.emit("leave-room", active.id)
    of_bob.inbox.take("left-room", roomId=active.id)
    of_ann.inbox.take("presence", userId=bob.id, online=False)
    assert not of_bob.inbox.seen("presence", userId=ann.id, online=False)


def test_joining_the_active_room_again_is_confirmed_and_changes_nothing(
    platform: Platform, device: Opener
) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob)
    of_ann, of_bob = device(ann), device(bob)
    join(of_bob, bob, room.id)
    join(of_ann, ann, room.id)
    of_bob.inbox.take("presence", userId=ann.id, online=True)

    join(of_ann, ann, room.id)

    of_ann.inbox.take("presence-snapshot")
    of_ann.inbox.take("presence-snapshot")
    of_bob.emit("leave-room", room.id)
    of_ann.inbox.take("presence", userId=bob.id, online=False)
    assert not of_bob.inbox.seen("presence", userId=ann.id, online=False)


def test_a_user_is_in_the_room_until_the_last_of_his_devices_has_left_it(
    platform: Platform, device: Opener
) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob)
    phone, laptop, of_bob = device(ann), device(ann), device(bob)
    join(of_bob, bob, room.id)
    join(phone, ann, room.id)
    join(laptop, ann, room.id)
    of_bob.inbox.take("presence", userId=ann.id, online=True)

    phone.emit("leave-room", room.id)
    phone.inbox.take("left-room", roomId=room.id)
    assert of_bob.inbox.seen("presence", userId=ann.id) == [{"userId": ann.id, "online": True}]
    laptop.close()

    of_bob.inbox.take("presence", userId=ann.id, online=False)


def test_joining_a_room_one_is_not_in_is_an_error_and_leaves_the_active_room_alone(
    platform: Platform, device: Opener
) -> None:
    ann, bob, eve = (platform.person(name) for name in ("ann", "bob", "eve"))
    foreign, own = platform.room(ann, bob), platform.room(eve, bob)
    of_eve, of_bob = device(eve), device(bob)
    join(of_bob, bob, own.id)
    join(of_eve, eve, own.id)
    of_bob.inbox.take("presence", userId=eve.id, online=True)

    messages = []
    for room_id in (foreign.id, "00000000-0000-4000-8000-000000000000", "not a uuid", ""):
        of_eve.emit("join-room", {"roomId": room_id, "userId": eve.id})
        messages.append(of_eve.inbox.take("error")["message"])

    assert messages[0] == messages[1], "whether a room exists must not be told to those outside it"
    assert [joined["roomId"] for joined in of_eve.inbox.seen("joined-room")] == [own.id]
    assert not of_bob.inbox.seen("presence", userId=eve.id, online=False)


@pytest.mark.parametrize(
    "payload", [None, 7, [], {}, {"roomId": 7}, {"roomId": None}, {"roomId": {"a": 1}}], ids=repr
)
def test_a_join_without_a_room_id_is_an_error_and_the_connection_lives_on(
    platform: Platform, device: Opener, payload: object
) -> None:
    ann = platform.person("ann")
    room = platform.room(ann)
    of_ann = device(ann)

    of_ann.emit("join-room", payload)
    of_ann.inbox.take("error")

    join(of_ann, ann, room.id)


def test_acting_as_another_user_is_not_possible(platform: Platform, device: Opener) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob)
    of_ann, of_bob = device(ann), device(bob)

    of_ann.emit("join-room", {"roomId": room.id, "userId": bob.id})
    of_ann.inbox.take("error")
    of_ann.emit("typing", {"roomId": room.id, "userId": bob.id, "isTyping": True})
    of_bob.inbox.take("new-message", id=ann.send(room.id, "after").id)

    assert not of_ann.inbox.seen("joined-room")
    assert not of_bob.inbox.seen("typing")


def test_typing_in_a_foreign_room_reaches_nobody(platform: Platform, device: Opener) -> None:
    ann, bob, eve = (platform.person(name) for name in ("ann", "bob", "eve"))
    room = platform.room(ann, bob)
    of_bob, of_eve = device(bob), device(eve)

    of_eve.call("typing", {"roomId": room.id, "userId": eve.id, "isTyping": True})
    of_bob.inbox.take("new-message", id=ann.send(room.id, "after").id)

    assert not of_bob.inbox.seen("typing")


def test_typing_needs_no_joined_room(platform: Platform, device: Opener) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    joined, other = platform.room(ann, bob), platform.room(ann, bob)
    of_ann, of_bob = device(ann), device(bob)
    join(of_ann, ann, joined.id)

    start_typing(of_ann, ann, other.id)

    of_bob.inbox.take("typing", roomId=other.id, userId=ann.id, isTyping=True)


def test_a_client_that_vanishes_while_typing_is_ended_for_the_others(
    platform: Platform, device: Opener
) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    first, second = platform.room(ann, bob), platform.room(ann, bob)
    of_ann, of_bob = device(ann), device(bob)
    start_typing(of_ann, ann, first.id)
    start_typing(of_ann, ann, second.id)
    of_bob.inbox.take("typing", roomId=first.id, isTyping=True)
    of_bob.inbox.take("typing", roomId=second.id, isTyping=True)

    of_ann.close()

    of_bob.inbox.take("typing", roomId=first.id, userId=ann.id, isTyping=False)
    of_bob.inbox.take("typing", roomId=second.id, userId=ann.id, isTyping=False)


@pytest.mark.parametrize("how", ["leave", "switch"])
def test_leaving_or_switching_the_room_ends_the_typing_in_it(
    platform: Platform, device: Opener, how: str
) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room, next_room = platform.room(ann, bob), platform.room(ann, bob)
    of_ann, of_bob = device(ann), device(bob)
    join(of_ann, ann, room.id)
    start_typing(of_ann, ann, room.id)
    of_bob.inbox.take("typing", isTyping=True)

    if how == "leave":
        of_ann.emit("leave-room", {"roomId": room.id, "userId": ann.id})
    else:
        join(of_ann, ann, next_room.id)

    of_bob.inbox.take("typing", roomId=room.id, userId=ann.id, isTyping=False)


def test_who_was_not_typing_is_not_said_to_have_stopped(platform: Platform, device: Opener) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob)
    of_ann, of_bob = device(ann), device(bob)
    join(of_bob, bob, room.id)
    join(of_ann, ann, room.id)
    start_typing(of_ann, ann, room.id)
    of_ann.call("typing", {"roomId": room.id, "userId": ann.id, "isTyping": False})

    of_ann.close()

    of_bob.inbox.take("presence", userId=ann.id, online=False)
    assert [state["isTyping"] for state in of_bob.inbox.seen("typing")] == [True, False]
