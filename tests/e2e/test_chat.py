"""Two users with two devices each, over every transport, by both client implementations."""

from __future__ import annotations

import msgspec
import pytest

from tests.e2e.conftest import Opener
from tests.support.contract import Message
from tests.support.devices import POLLING, UPGRADE, WEBSOCKET, Device, Transports
from tests.support.platform import Platform

pytestmark = pytest.mark.parametrize(
    "transports",
    [
        pytest.param(WEBSOCKET, id="websocket"),
        pytest.param(POLLING, id="polling"),
        pytest.param(UPGRADE, id="upgrade"),
    ],
)


def texts(device: Device, room_id: str) -> list[str]:
    return [
        msgspec.convert(message, Message).text for message in device.inbox.seen("new-message", roomId=room_id)
    ]


def test_every_message_reaches_every_device_of_every_participant_once_and_in_order(
    platform: Platform, any_device: Opener, transports: Transports
) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob)
    devices = [any_device(person, transports) for person in (ann, ann, bob, bob)]

    sent = []
    for round_ in range(4):
        sent.append(ann.send(room.id, f"ann {round_}"))
        sent.append(bob.send(room.id, f"bob {round_}"))

    for one in devices:
        last = one.inbox.take("new-message", id=sent[-1].id)
        assert msgspec.convert(last, Message) == sent[-1]
        assert texts(one, room.id) == [message.text for message in sent]


def test_messages_arrive_whatever_room_is_joined_and_even_with_none(
    platform: Platform, any_device: Opener, transports: Transports
) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    first, second = platform.room(ann, bob), platform.room(bob, ann)
    elsewhere, nowhere = any_device(bob, transports), any_device(bob, transports)
    elsewhere.emit("join-room", {"roomId": second.id, "userId": bob.id})
    elsewhere.inbox.take("joined-room", roomId=second.id)

    sent = ann.send(first.id, "hello")

    elsewhere.inbox.take("new-message", id=sent.id)
    nowhere.inbox.take("new-message", id=sent.id)


def test_nothing_reaches_those_who_are_not_in_the_room(
    platform: Platform, any_device: Opener, transports: Transports
) -> None:
    ann, bob, eve = (platform.person(name) for name in ("ann", "bob", "eve"))
    private, common = platform.room(ann, bob), platform.room(ann, eve)
    stranger = any_device(eve, transports)

    ann.send(private.id, "secret")
    ann.read_up_to(private.id)
    last = ann.send(common.id, "hello")

    stranger.inbox.take("new-message", id=last.id)
    assert not stranger.inbox.seen("new-message", roomId=private.id)
    assert not stranger.inbox.seen("room-read", roomId=private.id)


def test_a_read_mark_is_told_to_all_participants_and_the_readers_own_devices(
    platform: Platform, any_device: Opener, transports: Transports
) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob)
    devices = [any_device(person, transports) for person in (ann, bob, bob)]
    sent = ann.send(room.id, "hello")

    bob.read_up_to(room.id, sent.id)

    for one in devices:
        one.inbox.take("room-read", roomId=room.id, userId=bob.id, lastReadMessageId=sent.id)


def test_typing_is_relayed_to_the_others_and_not_to_the_connection_it_came_from(
    platform: Platform, any_device: Opener, transports: Transports
) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob)
    from_ann, *to_bob = (any_device(person, transports) for person in (ann, bob, bob))

    for is_typing in (True, False):
        from_ann.emit("typing", {"roomId": room.id, "userId": ann.id, "isTyping": is_typing})
        for one in to_bob:
            one.inbox.take("typing", roomId=room.id, userId=ann.id, isTyping=is_typing)

    from_ann.inbox.take("new-message", id=ann.send(room.id, "done").id)
    assert not from_ann.inbox.seen("typing")


def test_joining_and_leaving_are_answered_and_shown_to_those_in_the_room(
    platform: Platform, any_device: Opener, transports: Transports
) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob)
    of_ann, of_bob = any_device(ann, transports), any_device(bob, transports)

    of_ann.emit("join-room", {"roomId": room.id, "userId": ann.id})
    of_ann.inbox.take("joined-room", roomId=room.id)
    assert of_ann.inbox.take("presence-snapshot")["onlineUserIds"] == [ann.id]

    of_bob.emit("join-room", {"roomId": room.id, "userId": bob.id})
    of_bob.inbox.take("joined-room", roomId=room.id)
    assert sorted(of_bob.inbox.take("presence-snapshot")["onlineUserIds"]) == sorted([ann.id, bob.id])
    of_ann.inbox.take("presence", userId=bob.id, online=True)

    of_bob.emit("leave-room", {"roomId": room.id, "userId": bob.id})
    of_bob.inbox.take("left-room", roomId=room.id)
    of_ann.inbox.take("presence", userId=bob.id, online=False)

    of_ann.emit("leave-room", room.id)  # as the published client does when it knows no user
    of_ann.inbox.take("left-room", roomId=room.id)


def test_an_event_that_asks_for_an_acknowledgement_gets_one(
    platform: Platform, any_device: Opener, transports: Transports
) -> None:
    ann = platform.person("ann")
    room = platform.room(ann)
    of_ann = any_device(ann, transports)

    of_ann.call("join-room", {"roomId": room.id, "userId": ann.id})
    of_ann.call("typing", {"roomId": room.id, "userId": ann.id, "isTyping": True})
    of_ann.call("leave-room", room.id)
    of_ann.call("join-room", {"roomId": "no such room", "userId": ann.id})
    of_ann.call("no-such-event", 1, [2], None)

    of_ann.inbox.take("joined-room", roomId=room.id)
    of_ann.inbox.take("left-room", roomId=room.id)


def test_the_transport_in_use_is_the_one_asked_for(
    platform: Platform, any_device: Opener, transports: Transports
) -> None:
    ann = platform.person("ann")
    room = platform.room(ann)
    of_ann = any_device(ann, transports)

    # An upgrade may still be going on while the first messages come: none may be lost or doubled by it.
    sent: list[str] = []
    while of_ann.transport != transports[-1] or len(sent) < 20:
        sent.append(ann.send(room.id, str(len(sent))).text)
        assert len(sent) < 2_000, "the upgrade does not come about"
    last = ann.send(room.id, "last")

    of_ann.inbox.take("new-message", id=last.id)
    assert texts(of_ann, room.id) == [*sent, "last"]
