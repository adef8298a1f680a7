"""Forwarding, as clients see it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Client, Gateway

PARTS = [{"type": "text", "text": "look"}, {"type": "data-x", "data": {"kept": [1.50]}}]


async def say(client: Client, room_id: str, **fields: Any) -> str:
    body = {"parts": PARTS, "senderId": client.user_id, **fields}
    answer = await client.post(f"/chat/rooms/{room_id}/messages", body)
    assert answer.status == 201, answer.body
    message_id: str = answer.json["id"]
    return message_id


async def test_each_room_gets_a_copy_that_names_the_author_and_is_told_in_order(gateway: Gateway) -> None:
    ann, bob = await gateway.user("ann"), await gateway.user("bob")
    source = await gateway.room("ann", "bob")
    first, second = await gateway.room("bob", "cid"), await gateway.room("bob", "dan")
    message_id = await say(ann, source)
    gateway.fanout.told.clear()

    answer = await bob.post(
        f"/chat/rooms/{source}/messages/{message_id}/forward",
        {"userId": "bob", "targetRoomIds": [second, first, second]},
    )

    assert answer.status == 201
    copies = answer.json["messages"]
    assert answer.json.keys() == {"messages"}
    assert [copy["roomId"] for copy in copies] == [second, first]
    for copy in copies:
        expected = {
            "senderId": "bob",
            "parts": PARTS,
            "previewText": "look",
            "forwardedFromId": message_id,
            "forwardedFromSenderId": "ann",
        }
        assert copy.items() >= expected.items()
        assert copy["id"] != message_id
        assert (await bob.get(f"/chat/rooms/{copy['roomId']}/messages")).json["messages"] == [copy]
    told = [(one.event, one.user_ids, one.json) for one in gateway.fanout.told]
    assert told == [
        ("new-message", ("bob", "dan"), copies[0]),
        ("new-message", ("bob", "cid"), copies[1]),
    ]


async def test_forwarded_again_it_is_still_the_first_authors(gateway: Gateway) -> None:
    ann, bob = await gateway.user("ann"), await gateway.user("bob")
    source, next_room = await gateway.room("ann", "bob"), await gateway.room("bob", "ann", name="Next")
    message_id = await say(ann, source)
    once = await bob.post(
        f"/chat/rooms/{source}/messages/{message_id}/forward", {"targetRoomIds": [next_room]}
    )
    copy_id = once.json["messages"][0]["id"]
    again = await ann.post(f"/chat/rooms/{next_room}/messages/{copy_id}/forward", {"targetRoomIds": [source]})
    (copy,) = again.json["messages"]
    assert (copy["senderId"], copy["forwardedFromId"], copy["forwardedFromSenderId"]) == (
        "ann",
        copy_id,
        "ann",
    )


async def test_all_rooms_get_it_or_none(gateway: Gateway) -> None:
    ann = await gateway.user("ann")
    source, good = await gateway.room("ann", "bob"), await gateway.room("ann", "cid")
    foreign, frozen = await gateway.room("bob", "cid"), await gateway.room("ann", "dan", isFrozen=True)
    message_id = await say(ann, source)
    gateway.fanout.told.clear()
    path = f"/chat/rooms/{source}/messages/{message_id}/forward"
    for bad, status in ((foreign, 404), (frozen, 403), ("none", 404)):
        assert (await ann.post(path, {"targetRoomIds": [good, bad]})).status == status
    assert gateway.fanout.told == []
    assert (await ann.get(f"/chat/rooms/{good}/messages")).json["messages"] == []
    body = {"userId": "ann", "targetRoomIds": [good, frozen]}
    assert (await gateway.server.post(path, body)).status == 201


async def test_who_is_not_in_the_source_room_cannot_forward_from_it(gateway: Gateway) -> None:
    ann, eve = await gateway.user("ann"), await gateway.user("eve")
    source, hers = await gateway.room("ann", "bob"), await gateway.room("eve", "cid")
    message_id = await say(ann, source)
    path = f"/chat/rooms/{source}/messages/{message_id}/forward"
    assert (await eve.post(path, {"targetRoomIds": [hers]})).status == 404


@pytest.mark.parametrize("part", ["data-call", "data-membership"])
async def test_what_the_server_made_is_not_forwarded(gateway: Gateway, part: str) -> None:
    ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
    message_id = await say(gateway.server, room_id, senderId="ann", parts=[{"type": part, "data": {}}])
    path = f"/chat/rooms/{room_id}/messages/{message_id}/forward"
    assert (await ann.post(path, {"targetRoomIds": [room_id]})).status == 400


async def test_what_is_deleted_is_not_forwarded(gateway: Gateway) -> None:
    ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
    message_id = await say(ann, room_id)
    await ann.delete(f"/chat/rooms/{room_id}/messages/{message_id}")
    path = f"/chat/rooms/{room_id}/messages/{message_id}/forward"
    assert (await ann.post(path, {"targetRoomIds": [room_id]})).status == 400


@pytest.mark.parametrize("targets", [None, [], "x", [7], ["x"] * 33])
async def test_a_list_of_rooms_that_is_none_or_too_long_is_refused(gateway: Gateway, targets: Any) -> None:
    ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
    message_id = await say(ann, room_id)
    path = f"/chat/rooms/{room_id}/messages/{message_id}/forward"
    assert (await ann.post(path, {"targetRoomIds": targets})).status == 400


async def test_every_copy_counts_against_the_limit_of_messages(gateway: Gateway) -> None:
    ann = await gateway.user("ann")
    rooms = [await gateway.room("ann", f"user-{number}") for number in range(10)]
    message_id = await say(ann, rooms[0])
    path = f"/chat/rooms/{rooms[0]}/messages/{message_id}/forward"
    assert (await ann.post(path, {"targetRoomIds": rooms})).status == 201
    assert (await ann.post(path, {"targetRoomIds": rooms})).status == 429
    assert (await ann.post(path, {"targetRoomIds": rooms[:9]})).status == 201
