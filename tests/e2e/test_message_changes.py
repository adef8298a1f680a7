"""Messages that change, on two devices of each user, by both client implementations."""

from __future__ import annotations

from typing import Any

from tests.e2e.conftest import Opener
from tests.support.devices import WEBSOCKET, Device
from tests.support.platform import Person, Platform, read


def change(person: Person, method: str, path: str, body: Any = None) -> Any:
    return read(person.rest.request(method, path, body), dict[str, Any])


def built(device: Device, room_id: str) -> list[Any]:
    """What a client that only listens has of a room, newest first."""
    messages: dict[str, Any] = {}
    for event in ("new-message", "message-updated"):
        for message in device.inbox.seen(event, roomId=room_id):
            messages[message["id"]] = message
    return sorted(messages.values(), key=lambda message: str(message["createdAt"]), reverse=True)


def test_every_device_ends_with_what_a_fresh_client_reads(platform: Platform, any_device: Opener) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room, other = platform.room(ann, bob), platform.room(bob, ann)
    devices = [any_device(person, WEBSOCKET) for person in (ann, ann, bob, bob)]
    edited, pinned, deleted = (ann.send(room.id, text) for text in ("edited", "pinned", "deleted"))
    path = f"/chat/rooms/{room.id}/messages"

    change(
        ann, "PATCH", f"{path}/{edited.id}", {"userId": ann.id, "parts": [{"type": "text", "text": "new"}]}
    )
    change(bob, "POST", f"{path}/{edited.id}/reactions", {"userId": bob.id, "emoji": "👍"})
    change(bob, "POST", f"{path}/{pinned.id}/pin", {"userId": bob.id})
    change(ann, "POST", f"{path}/{deleted.id}/pin", {})
    change(ann, "DELETE", f"{path}/{deleted.id}?userId={ann.id}")
    copies = change(
        bob, "POST", f"{path}/{pinned.id}/forward", {"userId": bob.id, "targetRoomIds": [other.id, room.id]}
    )
    last = copies["messages"][-1]

    for device in devices:
        device.inbox.take("new-message", id=last["id"])
        for room_id in (room.id, other.id):
            for person in (ann, bob):
                assert (
                    built(device, room_id)
                    == change(person, "GET", f"/chat/rooms/{room_id}/messages")["messages"]
                )
    shown = [
        message["id"] for message in change(bob, "GET", f"/chat/rooms/{room.id}/pinned-messages")["messages"]
    ]
    assert shown == [pinned.id]
