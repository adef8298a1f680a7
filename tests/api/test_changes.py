"""Editing, deleting, reacting and pinning, as clients see it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Answer, Client, Gateway


def text(words: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": words}]


class Thread:
    """A room of ann (operator), bob and cid, in which ann has said something.

    Attributes:
        path: of the message.
    """

    def __init__(self, gateway: Gateway, room_id: str, message: dict[str, Any], *clients: Client) -> None:
        self.gateway = gateway
        self.room_id = room_id
        self.message = message
        self.ann, self.bob, self.cid = clients
        self.path = f"/chat/rooms/{room_id}/messages/{message['id']}"

    async def say(self, client: Client, words: str, **fields: Any) -> dict[str, Any]:
        body = {"parts": text(words), "senderId": client.user_id, **fields}
        answer = await client.post(f"/chat/rooms/{self.room_id}/messages", body)
        assert answer.status == 201, answer.body
        message: dict[str, Any] = answer.json
        return message

    async def listed(self, message_id: str | None = None) -> dict[str, Any]:
        page = (await self.ann.get(f"/chat/rooms/{self.room_id}/messages")).json["messages"]
        found: dict[str, Any]
        (found,) = [one for one in page if one["id"] == (message_id or self.message["id"])]
        return found

    async def preview(self) -> str | None:
        entry = (await self.bob.get("/chat/rooms")).json["rooms"][0]["lastMessage"]
        return None if entry is None else entry["previewText"]

    async def freeze(self) -> None:
        patched = await self.gateway.server.patch(f"/chat/rooms/{self.room_id}", {"isFrozen": True})
        assert patched.status == 200

    def told(self) -> list[tuple[str, tuple[str, ...], bytes]]:
        """What was told since the last time this was asked."""
        events = [(one.event, one.user_ids, one.payload) for one in self.gateway.fanout.told]
        self.gateway.fanout.told.clear()
        return events

    def told_of(self, answer: Answer) -> bool:
        """Whether all were told of this change, once, by the very bytes of the answer."""
        return self.told() == [("message-updated", ("ann", "bob", "cid"), answer.body)]


@pytest.fixture
async def thread(gateway: Gateway) -> Thread:
    room_id = await gateway.room("ann", "bob", "cid", name="Team")
    clients = [await gateway.user(user_id) for user_id in ("ann", "bob", "cid")]
    sent = await clients[0].post(f"/chat/rooms/{room_id}/messages", {"parts": text("look")})
    gateway.fanout.told.clear()
    return Thread(gateway, room_id, sent.json, *clients)


class TestEdit:
    async def test_the_message_says_something_else_and_everybody_is_told(self, thread: Thread) -> None:
        answer = await thread.ann.patch(thread.path, {"userId": "ann", "parts": text("look here")})
        assert answer.status == 200
        expected = {"id": thread.message["id"], "parts": text("look here"), "previewText": "look here"}
        assert answer.json.items() >= expected.items()
        assert answer.json["editedAt"] > thread.message["createdAt"]
        assert answer.json["createdAt"] == thread.message["createdAt"]
        assert thread.told_of(answer)
        assert await thread.listed() == answer.json

    async def test_the_list_shows_the_new_words_of_the_last_message_only(self, thread: Thread) -> None:
        await thread.ann.patch(thread.path, {"parts": text("changed")})
        assert await thread.preview() == "changed"
        await thread.say(thread.bob, "newer")
        await thread.ann.patch(thread.path, {"parts": text("changed again")})
        assert await thread.preview() == "newer"

    async def test_only_the_sender_may_edit_and_the_backend(self, thread: Thread) -> None:
        mine = await thread.say(thread.bob, "mine")
        path = f"/chat/rooms/{thread.room_id}/messages/{mine['id']}"
        assert (await thread.ann.patch(path, {"parts": text("an operator's")})).status == 403
        assert (await thread.cid.patch(path, {"parts": text("a member's")})).status == 403
        assert (await thread.gateway.server.patch(path, {"parts": text("the backend's")})).status == 200

    async def test_urls_that_were_signed_for_reading_are_not_kept(self, thread: Thread) -> None:
        upload_id = await thread.gateway.upload(thread.ann)
        part = {"type": "file", "uploadId": upload_id, "mediaType": "image/png", "filename": "a.png", "x": 1}
        signed = {**part, "url": "https://a", "accessUrl": "https://a", "accessUrlExpiresAt": "2026"}
        answer = await thread.ann.patch(thread.path, {"parts": [signed]})
        assert answer.json["previewText"] == "Photo"
        stored = await thread.gateway.store.message(
            thread.gateway.tenant_id, thread.room_id, thread.message["id"]
        )
        assert stored is not None
        assert b"https://a" not in bytes(stored.parts)
        assert upload_id.encode() in bytes(stored.parts)

    @pytest.mark.parametrize(
        "body",
        [{}, {"parts": []}, {"parts": "x"}, {"parts": [{"type": "data-call", "data": {}}]}, {"parts": [{}]}],
    )
    async def test_parts_are_checked_as_for_a_send(self, thread: Thread, body: Any) -> None:
        assert (await thread.ann.patch(thread.path, body)).status == 400
        assert thread.told() == []

    async def test_what_is_deleted_stays_so(self, thread: Thread) -> None:
        await thread.ann.delete(thread.path)
        thread.told()
        answer = await thread.ann.patch(thread.path, {"parts": text("no")})
        assert (answer.status, answer.json["code"]) == (409, "message_deleted")
        assert thread.told() == []

    async def test_what_the_server_made_is_edited_by_nobody_but_the_backend(self, thread: Thread) -> None:
        body = {"senderId": "ann", "parts": [{"type": "data-membership", "data": {}}]}
        made = await thread.gateway.server.post(f"/chat/rooms/{thread.room_id}/messages", body)
        path = f"/chat/rooms/{thread.room_id}/messages/{made.json['id']}"
        assert (await thread.ann.patch(path, {"parts": text("never happened")})).status == 403
        assert (await thread.gateway.server.patch(path, {"parts": text("corrected")})).status == 200

    async def test_a_reply_shows_what_it_replies_to_as_it_is_now(self, thread: Thread) -> None:
        reply = await thread.say(thread.bob, "reply", parentMessageId=thread.message["id"])
        await thread.ann.patch(thread.path, {"parts": text("changed")})
        parent = (await thread.listed(reply["id"]))["parentMessage"]
        assert (parent["parts"], parent["previewText"]) == (text("changed"), "changed")
        await thread.ann.delete(thread.path)
        parent = (await thread.listed(reply["id"]))["parentMessage"]
        assert (parent["parts"], parent["deleted"]) == ([], True)


class TestDelete:
    async def test_it_stays_in_its_place_empty_and_everybody_is_told(self, thread: Thread) -> None:
        await thread.bob.post(f"{thread.path}/reactions", {"emoji": "x"})
        await thread.bob.post(f"{thread.path}/pin")
        thread.told()
        answer = await thread.ann.delete(f"{thread.path}?userId=ann")
        assert answer.status == 200
        expected = {
            "parts": [],
            "previewText": "This message was deleted",
            "deletedHidden": False,
            "reactions": [],
            "pinnedAt": None,
            "pinnedBy": None,
        }
        assert answer.json.items() >= expected.items()
        assert answer.json["deletedAt"] is not None
        assert thread.told_of(answer)
        assert await thread.listed() == answer.json
        assert await thread.preview() == "This message was deleted"

    async def test_deleting_again_answers_the_same_and_tells_nobody(self, thread: Thread) -> None:
        first = await thread.ann.delete(thread.path)
        thread.told()
        again = await thread.ann.delete(thread.path)
        assert (again.status, again.body) == (200, first.body)
        assert thread.told() == []

    async def test_the_tenant_chooses_the_words_or_to_hide_it(self, thread: Thread) -> None:
        server = thread.gateway.server
        await thread.say(thread.bob, "before")
        for settings, hidden, shown in (
            ({"deletedMessagePlaceholder": "gone"}, False, "gone"),
            ({"deletedMessageDisplay": "hidden"}, True, "gone"),
        ):
            last = await thread.say(thread.bob, "last")
            await server.patch("/tenant/settings", {"chat": settings})
            path = f"/chat/rooms/{thread.room_id}/messages/{last['id']}"
            deleted = (await thread.bob.delete(path)).json
            assert deleted["deletedHidden"] is hidden
            assert deleted["previewText"] == (None if hidden else "gone")
            assert await thread.preview() == shown

    async def test_the_sender_an_operator_and_the_backend_may(self, thread: Thread) -> None:
        for client, status in (
            (thread.bob, 200),
            (thread.ann, 200),
            (thread.gateway.server, 200),
            (thread.cid, 403),
        ):
            mine = await thread.say(thread.bob, "mine")
            path = f"/chat/rooms/{thread.room_id}/messages/{mine['id']}"
            assert (await client.delete(path)).status == status

    async def test_it_counts_as_unread_no_longer(self, thread: Thread) -> None:
        room = f"/chat/rooms/{thread.room_id}"
        assert (await thread.bob.get(room)).json["unreadCount"] == 1
        await thread.ann.delete(thread.path)
        assert (await thread.bob.get(room)).json["unreadCount"] == 0


class TestReactions:
    async def test_the_same_again_takes_it_away(self, thread: Thread) -> None:
        path = f"{thread.path}/reactions"
        first = await thread.bob.post(path, {"userId": "bob", "emoji": "👍"})
        assert first.json["reactions"] == [{"userId": "bob", "emoji": "👍"}]
        assert first.json["editedAt"] is None
        assert thread.told_of(first)
        assert await thread.listed() == first.json
        await thread.bob.post(path, {"emoji": "🎉"})
        await thread.cid.post(path, {"emoji": "👍"})
        last = await thread.bob.post(path, {"emoji": "👍"})
        assert last.json["reactions"] == [
            {"userId": "bob", "emoji": "🎉"},
            {"userId": "cid", "emoji": "👍"},
        ]

    @pytest.mark.parametrize("body", [{}, {"emoji": ""}, {"emoji": 7}, {"emoji": "x" * 65}])
    async def test_what_is_no_emoji_is_refused(self, thread: Thread, body: Any) -> None:
        assert (await thread.bob.post(f"{thread.path}/reactions", body)).status == 400
        assert thread.told() == []

    async def test_a_deleted_message_takes_none(self, thread: Thread) -> None:
        await thread.ann.delete(thread.path)
        assert (await thread.bob.post(f"{thread.path}/reactions", {"emoji": "x"})).status == 409


class TestPins:
    async def test_any_participant_pins_and_unpins_and_everybody_is_told(self, thread: Thread) -> None:
        pinned = await thread.bob.post(f"{thread.path}/pin", {"userId": "bob"})
        assert (pinned.json["pinnedBy"], pinned.json["pinnedAt"] is None) == ("bob", False)
        assert thread.told_of(pinned)
        unpinned = await thread.cid.delete(f"{thread.path}/pin?userId=cid")
        assert (unpinned.json["pinnedBy"], unpinned.json["pinnedAt"]) == (None, None)
        assert thread.told_of(unpinned)
        assert await thread.listed() == unpinned.json

    async def test_doing_it_twice_is_doing_it_once(self, thread: Thread) -> None:
        first = await thread.bob.post(f"{thread.path}/pin")
        thread.told()
        assert (await thread.cid.post(f"{thread.path}/pin")).body == first.body
        assert thread.told() == []
        gone = await thread.cid.delete(f"{thread.path}/pin")
        thread.told()
        assert (await thread.bob.delete(f"{thread.path}/pin")).body == gone.body
        assert thread.told() == []

    async def test_the_newest_pin_is_listed_first_and_deleted_messages_are_not(self, thread: Thread) -> None:
        other, third = await thread.say(thread.bob, "other"), await thread.say(thread.bob, "third")
        room = f"/chat/rooms/{thread.room_id}"
        for message in (third, thread.message, other):
            await thread.cid.post(f"{room}/messages/{message['id']}/pin")
        listed = (await thread.cid.get(f"{room}/pinned-messages?viewerId=cid")).json
        assert listed.keys() == {"messages"}
        assert [one["id"] for one in listed["messages"]] == [other["id"], thread.message["id"], third["id"]]
        await thread.ann.delete(thread.path)
        listed = (await thread.cid.get(f"{room}/pinned-messages")).json
        assert [one["id"] for one in listed["messages"]] == [other["id"], third["id"]]
        assert (await thread.cid.post(f"{thread.path}/pin")).status == 409

    async def test_the_backend_may_pin_for_nobody_in_particular(self, thread: Thread) -> None:
        pinned = (await thread.gateway.server.post(f"{thread.path}/pin")).json
        assert (pinned["pinnedBy"], pinned["pinnedAt"] is None) == (None, False)


@pytest.mark.parametrize(
    ("method", "end", "body"),
    [
        ("PATCH", "", {"parts": text("x")}),
        ("POST", "/reactions", {"emoji": "x", "userId": "ann"}),
        ("POST", "/pin", {}),
        ("DELETE", "/pin", None),
    ],
)
async def test_a_frozen_room_lets_the_backend_change_messages_and_nobody_else(
    thread: Thread, method: str, end: str, body: Any
) -> None:
    await thread.freeze()
    refused = await thread.ann.send(method, thread.path + end, body)
    assert (refused.status, refused.json["code"]) == (403, "room_frozen")
    assert (await thread.gateway.server.send(method, thread.path + end, body)).status == 200


@pytest.mark.parametrize(
    ("method", "end", "body"),
    [
        ("PATCH", "", {"parts": text("x")}),
        ("POST", "/reactions", {"emoji": "x"}),
        ("POST", "/pin", {}),
        ("DELETE", "/pin", None),
        ("DELETE", "", None),
        ("GET", "/replies", None),
    ],
)
async def test_a_message_that_is_not_in_the_room_or_was_cleared_away_is_not_found(
    thread: Thread, method: str, end: str, body: Any
) -> None:
    elsewhere = await thread.gateway.room("ann", "bob")
    for path in (
        f"/chat/rooms/{elsewhere}/messages/{thread.message['id']}",
        f"/chat/rooms/{thread.room_id}/messages/none",
    ):
        assert (await thread.ann.send(method, path + end, body)).status == 404
    await thread.gateway.store.clear_history(thread.gateway.tenant_id, thread.room_id, "ann")
    assert (await thread.ann.send(method, thread.path + end, body)).status == 404


async def test_changes_count_against_the_same_limit_as_messages(thread: Thread) -> None:
    statuses = [(await thread.bob.post(f"{thread.path}/reactions", {"emoji": "x"})).status for _ in range(21)]
    assert statuses == [200] * 20 + [429]
    assert (await thread.bob.post(f"{thread.path}/pin")).status == 429
    assert (await thread.bob.patch(thread.path, {"parts": text("x")})).status == 429


class TestReplies:
    async def test_they_come_newest_first_in_pages(self, thread: Thread) -> None:
        sent = [
            (await thread.say(thread.bob, str(number), parentMessageId=thread.message["id"]))["id"]
            for number in range(5)
        ]
        await thread.say(thread.bob, "no reply")
        first = (await thread.cid.get(f"{thread.path}/replies?limit=3")).json
        assert first.keys() == {"messages", "nextCursor"}
        second = (await thread.cid.get(f"{thread.path}/replies?limit=3&cursor={first['nextCursor']}")).json
        assert [one["id"] for one in first["messages"] + second["messages"]] == sent[::-1]
        assert second["nextCursor"] is None
        assert first["messages"][0] == await thread.listed(sent[-1])
        assert (await thread.cid.get(f"{thread.path}/replies?cursor=x")).status == 400
