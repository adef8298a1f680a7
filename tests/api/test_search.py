"""Search over REST."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Client, Gateway


async def find(client: Client, gateway: Gateway, query: str) -> Any:
    while await gateway.store.index_messages():
        pass
    answer = await client.get(f"/chat/search?{query}")
    assert answer.status == 200, answer.body
    return answer.json


async def say(client: Client, room_id: str, *parts: dict[str, Any]) -> Any:
    sent = await client.post(f"/chat/rooms/{room_id}/messages", {"parts": parts})
    assert sent.status == 201, sent.body
    return sent.json


async def test_a_user_finds_messages_as_he_reads_them_and_rooms_as_his_list_has_them(
    gateway: Gateway,
) -> None:
    room_id = await gateway.room("ann", "bob", name="Lunch")
    ann, bob = await gateway.user("ann"), await gateway.user("bob")
    sent = await say(ann, room_id, {"type": "text", "text": "Lunch at twelve?"})
    found = await find(bob, gateway, "q=lunch")
    listed = (await bob.get("/chat/rooms")).json["rooms"]
    assert found == {"rooms": listed, "messages": [sent], "nextCursor": None}


async def test_the_whole_text_is_searched_and_the_names_of_files_not_only_the_preview(
    gateway: Gateway,
) -> None:
    room_id = await gateway.room("ann")
    ann = await gateway.user("ann")
    long = await say(ann, room_id, {"type": "text", "text": "word " * 100 + "needle"})
    file = {
        "type": "file",
        "mediaType": "image/png",
        "url": "https://example.org/x",
        "filename": "holiday.png",
    }
    picture = await say(ann, room_id, file, {"type": "text", "text": "look"})
    assert (await find(ann, gateway, "q=needle"))["messages"] == [long]
    assert (await find(ann, gateway, "q=holiday"))["messages"] == [picture]


async def test_the_backend_searches_as_the_user_it_names(gateway: Gateway) -> None:
    room_id = await gateway.room("ann", "bob")
    await say(await gateway.user("ann"), room_id, {"type": "text", "text": "words"})
    assert len((await find(gateway.server, gateway, "q=words&viewerId=bob"))["messages"]) == 1
    assert (await find(gateway.server, gateway, "q=words&viewerId=eve"))["messages"] == []
    assert (await find(gateway.other, gateway, "q=words&viewerId=bob"))["messages"] == []


async def test_scope_room_and_limit_narrow_what_is_found(gateway: Gateway) -> None:
    rooms = [await gateway.room("ann", name="words one"), await gateway.room("ann", name="words two")]
    ann = await gateway.user("ann")
    for room_id in rooms:
        await say(ann, room_id, {"type": "text", "text": "words"})
    only_rooms = await find(ann, gateway, "q=words&scope=rooms")
    assert (len(only_rooms["rooms"]), only_rooms["messages"]) == (2, [])
    one_room = await find(ann, gateway, f"q=words&roomId={rooms[0]}")
    assert [message["roomId"] for message in one_room["messages"]] == [rooms[0]]
    first = await find(ann, gateway, "q=words&scope=messages&limit=1")
    second = await find(ann, gateway, f"q=words&scope=messages&limit=1&cursor={first['nextCursor']}")
    assert [page["messages"][0]["roomId"] for page in (first, second)] == rooms[::-1]
    assert second["nextCursor"] is None


@pytest.mark.parametrize(
    ("query", "status", "word"),
    [
        ("", 400, "q is required"),
        ("q=", 400, "q is required"),
        ("q=" + "x" * 256, 400, "255"),
        ("q=x&scope=everything", 400, "scope"),
        ("q=x&cursor=nonsense", 400, "cursor"),
        ("q=x&limit=many", 400, "limit"),
        ("q=x&roomId=unknown", 404, "room"),
    ],
)
async def test_what_cannot_be_searched_is_refused(
    gateway: Gateway, query: str, status: int, word: str
) -> None:
    ann = await gateway.user("ann")
    answer = await ann.get(f"/chat/search?{query}")
    assert answer.status == status
    assert word in answer.json["error"]


async def test_a_search_that_says_nothing_finds_nothing(gateway: Gateway) -> None:
    ann = await gateway.user("ann")
    assert await find(ann, gateway, "q=%3F!") == {"rooms": [], "messages": [], "nextCursor": None}
