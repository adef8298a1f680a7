"""Joining and leaving a room, as the devices of everyone concerned see it (contract 2.3, 4.4, 4.6)."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.e2e.conftest import Opener
from tests.support.contract import RoomDetail
from tests.support.devices import Device
from tests.support.platform import Person, Platform, read


def add(by: Person, room_id: str, user_id: str) -> RoomDetail:
    body = {"userId": user_id, "actorUserId": by.id}
    return read(by.rest.post(f"/chat/rooms/{room_id}/participants", body), RoomDetail)


def remove(by: Person, room_id: str, user_id: str) -> RoomDetail:
    path = f"/chat/rooms/{room_id}/participants/{user_id}?actorUserId={by.id}"
    return read(by.rest.request("DELETE", path), RoomDetail)


def delete_for_me(person: Person, room_id: str) -> dict[str, Any]:
    answer: httpx2.Response = person.rest.request(
        "DELETE", f"/chat/rooms/{room_id}/for-me?userId={person.id}"
    )
    return read(answer, dict[str, Any])


def changed(device: Device, room_id: str, action: str, target: Person, actor: Person) -> None:
    """Take the event that tells of this change, and be sure of its shape."""
    event = device.inbox.take("room-participants-changed", roomId=room_id)
    assert event == {
        "roomId": room_id,
        "action": action,
        "targetUserId": target.id,
        "actorUserId": actor.id,
    }


def join(device: Device, person: Person, room_id: str) -> None:
    device.emit("join-room", {"roomId": room_id, "userId": person.id})
    device.inbox.take("joined-room", roomId=room_id)


def test_who_is_let_in_is_served_on_all_devices_at_once(platform: Platform, any_device: Opener) -> None:
    ann, bob, cid = (platform.person(name) for name in ("ann", "bob", "cid"))
    room = platform.room(ann, bob, name="Team")
    phone, laptop, of_bob = any_device(cid), any_device(cid), any_device(bob)

    detail = add(ann, room.id, cid.id)

    assert [one.user_id for one in detail.participants] == [ann.id, bob.id, cid.id]
    for one in (phone, laptop, of_bob):
        changed(one, room.id, "joined", cid, ann)
        told = one.inbox.take("new-message", roomId=room.id, senderId=ann.id)
        assert told["previewText"] == "Cid joined"
        data = {"action": "joined", "actorUserId": ann.id, "targetUserId": cid.id}
        assert told["parts"] == [{"type": "data-membership", "data": data}]
    said = ann.send(room.id, "welcome")
    for one in (phone, laptop):
        one.inbox.take("new-message", id=said.id)
    join(phone, cid, room.id)


def test_who_is_removed_is_told_and_out_of_it_on_all_devices(platform: Platform, any_device: Opener) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room, other = platform.room(ann, bob, name="Team"), platform.room(ann, bob, name="Other")
    of_ann, phone, laptop = any_device(ann), any_device(bob), any_device(bob)
    join(of_ann, ann, room.id)
    join(phone, bob, room.id)
    of_ann.inbox.take("presence", userId=bob.id, online=True)
    laptop.emit("typing", {"roomId": room.id, "userId": bob.id, "isTyping": True})
    of_ann.inbox.take("typing", roomId=room.id, userId=bob.id, isTyping=True)

    remove(ann, room.id, bob.id)

    of_ann.inbox.take("typing", roomId=room.id, userId=bob.id, isTyping=False)
    of_ann.inbox.take("presence", userId=bob.id, online=False)
    phone.inbox.take("left-room", roomId=room.id)
    for one in (of_ann, phone, laptop):
        changed(one, room.id, "removed", bob, ann)
    of_ann.inbox.take("new-message", roomId=room.id, previewText="Ann removed Bob")
    ann.send(room.id, "he has gone")
    ann.send(other.id, "after")
    for one in (phone, laptop):
        one.inbox.take("new-message", roomId=other.id)
        assert not one.inbox.seen("new-message", roomId=room.id)
    laptop.emit("join-room", {"roomId": room.id, "userId": bob.id})
    laptop.inbox.take("error")
    assert bob.rest.get(f"/chat/rooms/{room.id}").status_code == 404
    assert [one.id for one in bob.rooms().rooms] == [other.id]


def test_who_deletes_a_group_for_himself_leaves_it(platform: Platform, device: Opener) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob, name="Team")
    of_ann, of_bob = device(ann), device(bob)

    answer = delete_for_me(ann, room.id)

    assert answer == {"roomId": room.id, "action": "left", "left": True, "hidden": False}
    for one in (of_ann, of_bob):
        changed(one, room.id, "left", ann, ann)
    of_bob.inbox.take("new-message", roomId=room.id, previewText="Ann left")
    detail = read(bob.rest.get(f"/chat/rooms/{room.id}"), RoomDetail)
    assert [(one.user_id, one.role) for one in detail.participants] == [(bob.id, "OPERATOR")]


def test_a_deleted_direct_conversation_comes_back_with_only_what_is_new(
    platform: Platform, device: Opener
) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob, externalId=f"dm:{ann.id}:{bob.id}")
    ann.send(room.id, "old")
    of_bob = device(bob)

    assert delete_for_me(bob, room.id)["hidden"] is True

    assert bob.rooms().rooms == []
    assert [one.preview_text for one in ann.history(room.id)] == ["old"]
    new = ann.send(room.id, "new")
    of_bob.inbox.take("new-message", id=new.id)
    (back,) = bob.rooms().rooms
    assert (back.id, back.unread_count) == (room.id, 1)
    assert [one.preview_text for one in bob.history(room.id)] == ["new"]
    assert not of_bob.inbox.seen("room-participants-changed")


def test_clearing_the_history_is_seen_by_nobody_else(platform: Platform) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob)
    ann.send(room.id, "old")

    read(bob.rest.post(f"/chat/rooms/{room.id}/clear-history", {"userId": bob.id}), dict[str, Any])

    (of_bob,), (of_ann,) = bob.rooms().rooms, ann.rooms().rooms
    assert (of_bob.last_message, of_bob.unread_count) == (None, 0)
    assert of_ann.last_message is not None
    assert of_ann.last_message.preview_text == "old"
    assert bob.history(room.id) == []
