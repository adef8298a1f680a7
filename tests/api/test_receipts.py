from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Client, Gateway


async def say(client: Client, room_id: str) -> Any:
    parts = [{"type": "text", "text": "hi"}]
    return (await client.post(f"/chat/rooms/{room_id}/messages", {"parts": parts})).json


@pytest.mark.parametrize("body", [{}, {"userId": "bob"}, {"userId": "bob", "lastReadMessageId": None}, None])
async def test_without_a_message_everything_is_read(gateway: Gateway, body: Any) -> None:
    ann, bob = await gateway.user("ann"), await gateway.user("bob")
    room_id = await gateway.room("ann", "bob")
    await say(ann, room_id)
    last = await say(ann, room_id)
    mark = (await bob.post(f"/chat/rooms/{room_id}/read", body)).json
    assert mark.keys() == {"roomId", "userId", "lastReadAt", "lastReadMessageId", "unreadCount"}
    assert (mark["userId"], mark["lastReadMessageId"], mark["unreadCount"]) == ("bob", last["id"], 0)
    (room,) = (await bob.get("/chat/rooms")).json["rooms"]
    assert (room["unreadCount"], room["lastReadMessageId"]) == (0, last["id"])


async def test_the_participants_are_told_the_reader_too(gateway: Gateway) -> None:
    ann, bob = await gateway.user("ann"), await gateway.user("bob")
    room_id = await gateway.room("ann", "bob")
    message = await say(ann, room_id)
    gateway.fanout.told.clear()
    mark = (await bob.post(f"/chat/rooms/{room_id}/read", {"lastReadMessageId": message["id"]})).json
    (told,) = gateway.fanout.told
    assert (told.tenant_id, told.event, told.user_ids) == (gateway.tenant_id, "room-read", ("ann", "bob"))
    assert told.json == {
        "roomId": room_id,
        "userId": "bob",
        "lastReadAt": mark["lastReadAt"],
        "lastReadMessageId": message["id"],
    }


async def test_a_mark_never_moves_back_and_a_repeat_tells_nobody(gateway: Gateway) -> None:
    ann, bob = await gateway.user("ann"), await gateway.user("bob")
    room_id = await gateway.room("ann", "bob")
    first, second = await say(ann, room_id), await say(ann, room_id)
    path = f"/chat/rooms/{room_id}/read"
    moved = (await bob.post(path, {"lastReadMessageId": second["id"]})).json
    gateway.fanout.told.clear()
    for message_id in (first["id"], second["id"]):
        mark = (await bob.post(path, {"lastReadMessageId": message_id})).json
        assert (mark["lastReadMessageId"], mark["unreadCount"]) == (second["id"], 0)
        assert mark["lastReadAt"] == moved["lastReadAt"]
    assert gateway.fanout.told == []


async def test_a_mark_in_the_middle_leaves_the_rest_unread(gateway: Gateway) -> None:
    ann, bob = await gateway.user("ann"), await gateway.user("bob")
    room_id = await gateway.room("ann", "bob")
    messages = [await say(ann, room_id) for _ in range(3)]
    await say(bob, room_id)
    mark = (await bob.post(f"/chat/rooms/{room_id}/read", {"lastReadMessageId": messages[0]["id"]})).json
    assert mark["unreadCount"] == 2


async def test_an_empty_room_can_be_read(gateway: Gateway) -> None:
    room_id = await gateway.room("ann", "bob")
    mark = (await (await gateway.user("bob")).post(f"/chat/rooms/{room_id}/read", {})).json
    assert (mark["lastReadMessageId"], mark["unreadCount"]) == (None, 0)
    assert isinstance(mark["lastReadAt"], str)


async def test_a_message_of_another_room_is_not_found(gateway: Gateway) -> None:
    ann = await gateway.user("ann")
    here, there = await gateway.room("ann", "bob"), await gateway.room("ann", "cid")
    foreign = await say(ann, there)
    for message_id in (foreign["id"], "no-such-message"):
        answer = await ann.post(f"/chat/rooms/{here}/read", {"lastReadMessageId": message_id})
        assert answer.status == 404


async def test_the_backend_marks_for_a_user(gateway: Gateway) -> None:
    ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
    await say(ann, room_id)
    mark = (await gateway.server.post(f"/chat/rooms/{room_id}/read", {"userId": "bob"})).json
    assert (mark["userId"], mark["unreadCount"]) == ("bob", 0)


class TestDelivery:
    @pytest.mark.parametrize(
        "body", [{}, {"userId": "bob"}, {"userId": "bob", "lastDeliveredMessageId": None}]
    )
    async def test_the_sender_sees_that_it_has_arrived_and_nobody_is_told(
        self, gateway: Gateway, body: Any
    ) -> None:
        ann, bob = await gateway.user("ann"), await gateway.user("bob")
        room_id = await gateway.room("ann", "bob")
        message = await say(ann, room_id)
        gateway.fanout.told.clear()
        mark = await bob.post(f"/chat/rooms/{room_id}/delivery", body)
        assert mark.status == 200
        assert mark.json.keys() == {"roomId", "userId", "lastDeliveredAt", "lastDeliveredMessageId"}
        assert mark.json["lastDeliveredMessageId"] == message["id"]
        page = (await ann.get(f"/chat/rooms/{room_id}/messages")).json
        assert (page["peerLastReadAt"], page["peerLastDeliveredAt"]) == (None, mark.json["lastDeliveredAt"])
        assert gateway.fanout.told == []

    async def test_it_never_goes_back(self, gateway: Gateway) -> None:
        ann, bob = await gateway.user("ann"), await gateway.user("bob")
        room_id = await gateway.room("ann", "bob")
        first = await say(ann, room_id)
        await say(ann, room_id)
        path = f"/chat/rooms/{room_id}/delivery"
        newest = await bob.post(path, {})
        older = await bob.post(path, {"lastDeliveredMessageId": first["id"]})
        assert older.json == newest.json
        assert (await bob.post(path, {"lastDeliveredMessageId": "none"})).status == 404
