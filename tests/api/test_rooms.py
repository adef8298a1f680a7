from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Client, Gateway

SUMMARY = {
    "id",
    "name",
    "avatarUrl",
    "externalId",
    "customType",
    "metadata",
    "isFrozen",
    "lastMessage",
    "unreadCount",
    "lastReadMessageId",
    "createdAt",
}


async def say(client: Client, room_id: str, text: str) -> str:
    answer = await client.post(f"/chat/rooms/{room_id}/messages", {"parts": [{"type": "text", "text": text}]})
    assert answer.status == 201, answer.body
    message_id: str = answer.json["id"]
    return message_id


async def ids(client: Client, query: str = "") -> list[str]:
    answer = await client.get(f"/chat/rooms{query}")
    assert answer.status == 200, answer.body
    return [room["id"] for room in answer.json["rooms"]]


class TestCreate:
    async def test_the_backend_makes_a_room_and_the_users_in_it(self, gateway: Gateway) -> None:
        body = {
            "name": "Team",
            "customType": "demo_group",
            "metadata": {"x": [1]},
            "participants": [{"id": "ann", "username": "Ann"}, {"id": "bob"}],
        }
        answer = await gateway.server.post("/chat/rooms", body)
        room = answer.json
        assert answer.status == 201
        assert room.keys() == {*SUMMARY, "participants"}
        assert (room["name"], room["customType"], room["metadata"]) == ("Team", "demo_group", {"x": [1]})
        assert (room["isFrozen"], room["lastMessage"], room["unreadCount"]) == (False, None, 0)
        assert [(one["userId"], one["role"], one["username"]) for one in room["participants"]] == [
            ("ann", "OPERATOR", "Ann"),
            ("bob", "MEMBER", "bob"),
        ]

    async def test_nobody_is_told(self, gateway: Gateway) -> None:
        await gateway.room("ann", "bob")
        assert gateway.fanout.told == []

    async def test_a_user_makes_a_room_and_is_its_operator(self, gateway: Gateway) -> None:
        ann = await gateway.user("ann")
        room = (await ann.post("/chat/rooms", {"participants": [{"id": "bob"}]})).json
        assert [(one["userId"], one["role"]) for one in room["participants"]] == [
            ("ann", "OPERATOR"),
            ("bob", "MEMBER"),
        ]
        alone = await ann.post("/chat/rooms", {"name": "Notes"})
        assert [one["userId"] for one in alone.json["participants"]] == ["ann"]

    async def test_an_explicit_role_wins(self, gateway: Gateway) -> None:
        body = {"participants": [{"id": "ann"}, {"id": "bob", "role": "OPERATOR"}]}
        room = (await gateway.server.post("/chat/rooms", body)).json
        assert {one["userId"]: one["role"] for one in room["participants"]} == {
            "ann": "MEMBER",
            "bob": "OPERATOR",
        }

    async def test_the_same_external_id_finds_the_room_that_is_there(self, gateway: Gateway) -> None:
        body = {"externalId": "dm:ann:bob", "participants": [{"id": "ann"}, {"id": "bob"}]}
        first = await gateway.server.post("/chat/rooms", body)
        again = await gateway.server.post("/chat/rooms", {**body, "name": "other"})
        assert (first.status, again.status) == (201, 200)
        assert again.json == first.json

    async def test_a_user_names_people_who_are_new_and_renames_nobody(self, gateway: Gateway) -> None:
        ann = await gateway.user("ann")
        await gateway.user("bob")
        body = {"participants": [{"id": "bob", "username": "Fool"}, {"id": "new", "username": "Newcomer"}]}
        room = (await ann.post("/chat/rooms", body)).json
        assert [one["username"] for one in room["participants"]] == ["Ann", "Bob", "Newcomer"]

    async def test_the_backend_renames_but_not_to_an_id(self, gateway: Gateway) -> None:
        await gateway.user("ann")
        await gateway.user("bob")
        body = {"participants": [{"id": "ann", "username": "Ann B."}, {"id": "bob", "username": "bob"}]}
        room = (await gateway.server.post("/chat/rooms", body)).json
        assert [one["username"] for one in room["participants"]] == ["Ann B.", "Bob"]

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "participant"),
            ({"participants": []}, "participant"),
            ({"participants": [{"id": f"u{number}"} for number in range(51)]}, "50"),
            ({"participants": ["ann"]}, "participants[0]"),
            ({"participants": [{"id": ""}]}, "participants[0].id"),
            ({"participants": [{"id": "ann", "role": "operator"}]}, "participants[0].role"),
            ({"participants": [{"id": "ann"}], "externalId": 7}, "externalId"),
            ({"participants": [{"id": "ann"}], "metadata": "x"}, "metadata"),
            ({"participants": [{"id": "ann"}], "metadata": {"x": "y" * 20_000}}, "metadata"),
            ({"participants": [{"id": "ann"}], "name": "x" * 501}, "name"),
        ],
    )
    async def test_a_bad_body_is_refused(self, gateway: Gateway, body: Any, field: str) -> None:
        answer = await gateway.server.post("/chat/rooms", body)
        assert answer.status == 400
        assert field in answer.json["error"]

    async def test_nulls_are_what_is_left_out(self, gateway: Gateway) -> None:
        body = dict.fromkeys(("name", "externalId", "customType", "avatarUrl", "metadata", "isFrozen"))
        answer = await gateway.server.post("/chat/rooms", {**body, "participants": [{"id": "ann"}]})
        assert answer.status == 201


class TestList:
    async def test_newest_activity_comes_first(self, gateway: Gateway) -> None:
        ann = await gateway.user("ann")
        first, second = await gateway.room("ann", "bob"), await gateway.room("ann", "cid")
        assert await ids(ann) == [second, first]
        await say(ann, first, "hi")
        assert await ids(ann) == [first, second]

    async def test_a_room_shows_its_last_message_and_what_the_viewer_has_not_read(
        self, gateway: Gateway
    ) -> None:
        ann, bob = await gateway.user("ann"), await gateway.user("bob")
        room_id = await gateway.room("ann", "bob")
        await say(ann, room_id, "one")
        await say(ann, room_id, "two")
        (room,) = (await bob.get("/chat/rooms")).json["rooms"]
        assert room.keys() == SUMMARY
        assert room["lastMessage"]["previewText"] == "two"
        assert room["lastMessage"]["createdAt"]
        assert room["unreadCount"] == 2
        assert (await ann.get("/chat/rooms")).json["rooms"][0]["unreadCount"] == 0

    async def test_only_the_callers_rooms_but_all_of_them_for_the_backend(self, gateway: Gateway) -> None:
        mine, other = await gateway.room("ann", "bob"), await gateway.room("bob", "cid")
        assert await ids(await gateway.user("ann")) == [mine]
        assert await ids(await gateway.user("ann"), "?participantId=ann") == [mine]
        assert set(await ids(gateway.server)) == {mine, other}
        assert await ids(gateway.server, "?participantId=cid") == [other]
        assert await ids(gateway.server, "?viewerId=ann") == [mine]
        assert await ids(gateway.other) == []

    async def test_filters(self, gateway: Gateway) -> None:
        direct = await gateway.room("ann", "bob", externalId="dm:ann:bob", customType="demo_dm")
        group = await gateway.room("ann", "bob", "cid", customType="demo_group")
        await gateway.room("ann", "cid", customType="other")
        ann = await gateway.user("ann")
        assert await ids(ann, "?externalId=dm%3Aann%3Abob") == [direct]
        assert await ids(ann, "?externalId=dm") == []
        assert set(await ids(ann, "?customTypesFilter=demo_dm,demo_group")) == {direct, group}
        assert len(await ids(ann, "?customTypesFilter=")) == 3

    async def test_pages_show_every_room_once(self, gateway: Gateway) -> None:
        made = [await gateway.room("ann", f"u{number}") for number in range(7)]
        ann = await gateway.user("ann")
        seen: list[str] = []
        cursor, pages = "", 0
        while True:
            page = (await ann.get(f"/chat/rooms?limit=3{cursor}")).json
            seen += [room["id"] for room in page["rooms"]]
            pages += 1
            if page["nextCursor"] is None:
                break
            cursor = f"&cursor={page['nextCursor']}"
        assert seen == made[::-1]
        assert pages == 3

    async def test_a_limit_out_of_range_is_clamped_and_a_bad_cursor_refused(self, gateway: Gateway) -> None:
        for number in range(3):
            await gateway.room("ann", f"u{number}")
        ann = await gateway.user("ann")
        assert len(await ids(ann, "?limit=0")) == 1
        assert len(await ids(ann, "?limit=-5")) == 1
        assert len(await ids(ann, "?limit=100000")) == 3
        for cursor in ("x", "%00", "e30", "bnVsbA", "A" * 1_000):
            assert (await ann.get(f"/chat/rooms?cursor={cursor}")).status == 400


class TestDetail:
    async def test_a_room_is_the_list_item_with_its_participants(self, gateway: Gateway) -> None:
        ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
        detail = (await ann.get(f"/chat/rooms/{room_id}")).json
        participants = detail.pop("participants")
        assert detail == (await ann.get("/chat/rooms")).json["rooms"][0]
        assert [one["userId"] for one in participants] == ["ann", "bob"]
        assert all(one["joinedAt"] for one in participants)

    async def test_the_backend_may_look_through_a_users_eyes(self, gateway: Gateway) -> None:
        ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
        await say(ann, room_id, "hi")
        path = f"/chat/rooms/{room_id}"
        assert (await gateway.server.get(path)).json["unreadCount"] == 0
        assert (await gateway.server.get(f"{path}?viewerId=bob")).json["unreadCount"] == 1
        assert (await gateway.server.get(f"{path}?viewerId=eve")).status == 404


class TestChange:
    async def test_what_is_named_changes_and_null_clears(self, gateway: Gateway) -> None:
        room_id = await gateway.room("ann", "bob", name="Old", customType="a", metadata={"x": 1})
        ann = await gateway.user("ann")
        answer = await ann.patch(f"/chat/rooms/{room_id}", {"name": "New", "metadata": None})
        assert answer.status == 200
        assert (answer.json["name"], answer.json["customType"], answer.json["metadata"]) == ("New", "a", None)
        assert [one["userId"] for one in answer.json["participants"]] == ["ann", "bob"]

    @pytest.mark.parametrize("body", [{"isFrozen": None}, {"isFrozen": 1}, {"name": 1}, {"metadata": []}])
    async def test_a_bad_body_is_refused(self, gateway: Gateway, body: Any) -> None:
        room_id = await gateway.room("ann", "bob")
        assert (await gateway.server.patch(f"/chat/rooms/{room_id}", body)).status == 400

    async def test_freezing_is_known_to_the_rosters_at_once(self, gateway: Gateway) -> None:
        room_id = await gateway.room("ann", "bob")
        before = await gateway.rosters.load(gateway.tenant_id, room_id)
        await gateway.server.patch(f"/chat/rooms/{room_id}", {"isFrozen": True})
        after = await gateway.rosters.load(gateway.tenant_id, room_id)
        assert before is not None
        assert after is not None
        assert (before.is_frozen, after.is_frozen) == (False, True)


async def test_those_who_meet_in_a_new_room_are_introduced_once(gateway: Gateway) -> None:
    fields = {"participants": [{"id": "ann"}, {"id": "bob"}], "externalId": "x"}
    for _ in range(2):
        await gateway.server.post("/chat/rooms", fields)
    assert gateway.fanout.introduced == [(["ann", "bob"], ["ann", "bob"])]


async def test_one_who_joins_is_introduced_to_those_who_are_there(gateway: Gateway) -> None:
    room_id = await gateway.room("ann", "bob")
    gateway.fanout.introduced.clear()
    await gateway.server.post(f"/chat/rooms/{room_id}/participants", {"userId": "cyn"})
    await gateway.server.delete(f"/chat/rooms/{room_id}/participants/bob")
    assert gateway.fanout.introduced == [(["cyn"], ["ann", "bob", "cyn"])]
