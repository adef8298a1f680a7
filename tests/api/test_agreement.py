"""Whatever happens, in whatever order: what a client has built from its events is what a fresh one reads over REST."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import Answer, Client, Gateway, open_gateway

SEEDS = range(40)
STEPS = 80
PEOPLE = ("ann", "bob", "cid", "dan")
EMOJI = ("👍", "🎉")


class Device:
    """A user's client as the published ones are: it applies events to what it has, and asks only where they do.

    They read a room when they are told that they have joined it, or when a message comes for a room that they do not
    show. What they do themselves and no event tells (clearing, deleting for oneself) they know from the answer. A change
    of a message reaches the quotes of it in replies.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.rooms: dict[str, Room] = {}

    async def hear(self, event: str, payload: dict[str, Any]) -> None:
        room_id = payload["roomId"]
        me = self.client.user_id
        if event == "room-participants-changed" and payload["targetUserId"] == me:
            self.rooms.pop(room_id, None)
            if payload["action"] == "joined":
                await self.read(room_id)
        elif room_id not in self.rooms:
            if event == "new-message":
                await self.read(room_id)
        else:
            self.rooms[room_id].hear(event, payload)

    async def read(self, room_id: str) -> None:
        shown = await self.client.get(f"/chat/rooms/{room_id}")
        if shown.status == 404:
            return  # and already out of it again, as the next event will say
        listed = (await self.client.get("/chat/rooms?limit=100")).json["rooms"]
        room = Room(self.client.user_id, next(one for one in listed if one["id"] == room_id))
        room.roster = {one["userId"] for one in shown.json["participants"]}
        history = await self.history(room_id)
        room.messages = {message["id"]: message for message in history["messages"]}
        room.unread = set(room.from_others[: room.unread_at_first])
        room.peer_read_at = history["peerLastReadAt"]
        self.rooms[room_id] = room

    async def history(self, room_id: str) -> Any:
        return (await self.client.get(f"/chat/rooms/{room_id}/messages?limit=100")).json


class Room:
    """One room as its events have left it."""

    def __init__(self, me: str, listed: dict[str, Any]) -> None:
        self.me = me
        self.messages: dict[str, dict[str, Any]] = {}
        self.roster: set[str] = set()
        self.read_id: str | None = listed["lastReadMessageId"]
        self.peer_read_at: str | None = None
        self.unread_at_first: int = listed["unreadCount"]
        self.unread: set[str] = set()

    def hear(self, event: str, payload: dict[str, Any]) -> None:
        if event == "new-message":
            self.messages[payload["id"]] = payload
            if payload["senderId"] != self.me:
                self.unread.add(payload["id"])
        elif event == "message-updated":
            self.update(payload)
        elif event == "room-read" and payload["userId"] == self.me:
            self.read_id = payload["lastReadMessageId"]
            newest_first = [message["id"] for message in self.newest_first]
            if self.read_id in newest_first:
                self.unread.difference_update(newest_first[newest_first.index(self.read_id) :])
        elif event == "room-read":
            self.peer_read_at = payload["lastReadAt"]
        elif event == "room-participants-changed":
            change = self.roster.add if payload["action"] == "joined" else self.roster.discard
            change(payload["targetUserId"])

    def update(self, message: dict[str, Any]) -> None:
        """Change it where it is shown and where it is quoted; what has been cleared away does not come back."""
        if message["id"] in self.messages:
            self.messages[message["id"]] = message
        if message["deletedAt"] is not None:
            self.unread.discard(message["id"])
        for reply in self.messages.values():
            if reply["parentMessageId"] == message["id"]:
                reply["parentMessage"] = quote(message)

    @property
    def newest_first(self) -> list[dict[str, Any]]:
        return sorted(self.messages.values(), key=lambda message: str(message["createdAt"]), reverse=True)

    @property
    def last_message(self) -> dict[str, Any] | None:
        for message in self.newest_first:
            if not message["deletedHidden"]:
                return {"previewText": message["previewText"], "createdAt": message["createdAt"]}
        return None

    @property
    def from_others(self) -> list[str]:
        """What counts as unread unless it is read, newest first."""
        return [
            message["id"]
            for message in self.newest_first
            if message["senderId"] != self.me and message["deletedAt"] is None
        ]


def quote(message: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": message["id"],
        "senderId": message["senderId"],
        "parts": message["parts"],
        "previewText": message["previewText"],
        "deleted": message["deletedAt"] is not None,
    }


class Play:
    """Users who do whatever they may, and some of what they may not, at random."""

    def __init__(self, gateway: Gateway, seed: int) -> None:
        self.gateway = gateway
        self.random = random.Random(seed)
        self.devices: dict[str, Device] = {}
        self.rooms: list[str] = []
        self.done: list[str] = []

    async def begin(self) -> None:
        hidden = self.random.random() < 0.5
        display = {"chat": {"deletedMessageDisplay": "hidden" if hidden else "placeholder"}}
        assert (await self.gateway.server.patch("/tenant/settings", display)).status == 200
        for name in PEOPLE:
            self.devices[name] = Device(await self.gateway.user(name))
        self.rooms = [
            await self.gateway.room("ann", "bob", externalId="dm:ann:bob"),
            await self.gateway.room("ann", "bob", "cid", name="Group"),
            await self.gateway.room(*PEOPLE, name="All"),
        ]
        for device in self.devices.values():
            for room_id in self.rooms:
                await device.read(room_id)

    async def step(self) -> None:
        self.gateway.clock.now += 10
        name, room_id = self.random.choice(PEOPLE), self.random.choice(self.rooms)
        act = self.random.choices(
            [self.send, self.change, self.read, self.move, self.clear, self.forward], [6, 6, 4, 2, 1, 1]
        )[0]
        answer = await act(self.devices[name], f"/chat/rooms/{room_id}")
        self.done.append(f"{name} {act.__name__} {self.rooms.index(room_id)}: {answer.status}")
        assert answer.status < 500, answer.body
        for told in self.taken():
            for user_id in told.user_ids:
                await self.devices[user_id].hear(told.event, told.json)

    def taken(self) -> list[Any]:
        told, self.gateway.fanout.told[:] = list(self.gateway.fanout.told), []
        return told

    def message_id(self, device: Device, path: str) -> str:
        """One of the last messages of the room, as far as this user knows."""
        room = device.rooms.get(path.rsplit("/", 1)[-1])
        shown = room.newest_first[:8] if room is not None else []
        return str(self.random.choice(shown)["id"]) if shown else "none"

    async def send(self, device: Device, path: str) -> Answer:
        body: dict[str, Any] = {
            "senderId": device.client.user_id,
            "parts": [{"type": "text", "text": f"text {len(self.done)}"}],
        }
        if self.random.random() < 0.3:
            body["parentMessageId"] = self.message_id(device, path)
        return await device.client.post(f"{path}/messages", body)

    async def change(self, device: Device, path: str) -> Answer:
        path = f"{path}/messages/{self.message_id(device, path)}"
        kind = self.random.choice(["edit", "delete", "react", "react", "pin", "unpin"])
        if kind == "edit":
            return await device.client.patch(
                path, {"parts": [{"type": "text", "text": f"new {len(self.done)}"}]}
            )
        if kind == "delete":
            return await device.client.delete(path)
        if kind == "react":
            return await device.client.post(f"{path}/reactions", {"emoji": self.random.choice(EMOJI)})
        return await device.client.send("POST" if kind == "pin" else "DELETE", f"{path}/pin")

    async def read(self, device: Device, path: str) -> Answer:
        body = {} if self.random.random() < 0.5 else {"lastReadMessageId": self.message_id(device, path)}
        return await device.client.post(f"{path}/read", body)

    async def move(self, device: Device, path: str) -> Answer:
        """Somebody is let in, taken out, or leaves; the platform does it where a user may not."""
        other = self.random.choice(PEOPLE)
        actor = device.client if self.random.random() < 0.5 else self.gateway.server
        if path.endswith(self.rooms[0]):  # a direct conversation stays one
            return await device.client.get(path)
        if self.random.random() < 0.6:
            return await actor.post(f"{path}/participants", {"userId": other})
        return await actor.delete(f"{path}/participants/{other}")

    async def clear(self, device: Device, path: str) -> Answer:
        room_id = path.rsplit("/", 1)[-1]
        hide = self.random.random() < 0.4
        answer = await (
            device.client.delete(f"{path}/for-me")
            if hide
            else device.client.post(f"{path}/clear-history", {})
        )
        if answer.status == 200 and room_id in device.rooms:
            if hide:
                del device.rooms[room_id]
            else:
                device.rooms[room_id].messages.clear()
                device.rooms[room_id].unread.clear()
        return answer

    async def forward(self, device: Device, path: str) -> Answer:
        message_id = self.message_id(device, path)
        target = self.random.choice(self.rooms)
        return await device.client.post(f"{path}/messages/{message_id}/forward", {"targetRoomIds": [target]})

    async def agree(self) -> None:
        """Every client against what it would read now."""
        for name, device in self.devices.items():
            listed = (await device.client.get("/chat/rooms?limit=100")).json["rooms"]
            assert set(device.rooms) == {room["id"] for room in listed}, (name, self.done)
            for shown in listed:
                await self.agree_on(name, device, shown)

    async def agree_on(self, name: str, device: Device, shown: dict[str, Any]) -> None:
        room = device.rooms[shown["id"]]
        place = (name, self.rooms.index(shown["id"]), self.done)
        history = await device.history(shown["id"])
        detail = (await device.client.get(f"/chat/rooms/{shown['id']}")).json
        assert room.newest_first == history["messages"], place
        assert room.last_message == shown["lastMessage"], place
        assert len(room.unread) == shown["unreadCount"], place
        assert room.read_id == shown["lastReadMessageId"], place
        assert room.roster == {one["userId"] for one in detail["participants"]}, place
        if shown["id"] == self.rooms[0]:
            assert room.peer_read_at == history["peerLastReadAt"], place


@pytest.mark.parametrize("seed", SEEDS)
async def test_events_leave_a_client_with_what_a_fresh_one_reads(tmp_path: Path, seed: int) -> None:
    async with open_gateway(tmp_path) as gateway:
        play = Play(gateway, seed)
        await play.begin()
        for number in range(STEPS):
            await play.step()
            if number % 10 == 9:
                await play.agree()
