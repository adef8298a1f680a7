from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gateway.api.examples import EXAMPLES
from tests.api.conftest import Answer, Client, Gateway, open_gateway


def text(words: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": words}]


async def send(client: Client, room_id: str, words: str = "hi", **fields: Any) -> Answer:
    body = {"parts": text(words), **fields}
    if client.user_id:
        body.setdefault("senderId", client.user_id)
    return await client.post(f"/chat/rooms/{room_id}/messages", body)


class TestSend:
    async def test_a_message_is_complete(self, gateway: Gateway) -> None:
        ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
        answer = await send(ann, room_id, "look", clientMessageId="c1")
        message = answer.json
        assert answer.status == 201
        assert message.keys() == EXAMPLES["Message"].keys()
        expected = {
            "roomId": room_id,
            "senderId": "ann",
            "clientMessageId": "c1",
            "parts": text("look"),
            "previewText": "look",
            "parentMessageId": None,
            "parentMessage": None,
            "deletedAt": None,
            "deletedHidden": False,
            "reactions": [],
        }
        assert message.items() >= expected.items()

    async def test_everybody_is_told_the_sender_too_with_the_very_bytes_of_the_answer(
        self, gateway: Gateway
    ) -> None:
        ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob", "cid")
        answer = await send(ann, room_id)
        (told,) = gateway.fanout.told
        assert (told.tenant_id, told.event) == (gateway.tenant_id, "new-message")
        assert told.user_ids == ("ann", "bob", "cid")
        assert told.payload == answer.body

    async def test_messages_are_told_in_the_order_in_which_they_are_listed(self, gateway: Gateway) -> None:
        ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
        for number in range(5):
            await send(ann, room_id, str(number))
        told = [event.json["id"] for event in gateway.fanout.told]
        listed = (await ann.get(f"/chat/rooms/{room_id}/messages")).json["messages"]
        assert told == [message["id"] for message in reversed(listed)]
        assert len({message["createdAt"] for message in listed}) == 5

    async def test_the_same_client_message_id_gets_the_first_message_and_tells_nobody(
        self, gateway: Gateway
    ) -> None:
        ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
        first = await send(ann, room_id, clientMessageId="c1")
        again = await send(ann, room_id, "other words", clientMessageId="c1")
        assert (again.status, again.body) == (201, first.body)
        assert len(gateway.fanout.told) == 1

    # Only where reading is no waiting the message is in a commit as soon as all wait.
    @pytest.mark.parametrize("database", ["sqlite"], indirect=True)
    async def test_a_sender_who_hangs_up_has_sent_nevertheless(self, gateway: Gateway) -> None:
        ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, ann, room_id, "before the line went dead")
            await wait_all_tasks_blocked()  # the message is in a commit
            nursery.cancel_scope.cancel()
        await send(ann, room_id, "after")  # commits are in order: the first one is done by now
        lines = [told.json["previewText"] for told in gateway.fanout.told]
        assert lines == ["before the line went dead", "after"]

    async def test_who_sends_when_too_many_wait_is_told_to_come_back(self, tmp_path: Path) -> None:
        async with open_gateway(tmp_path, waiting_writes=1) as gateway:
            ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
            answers: list[Answer] = []

            async def try_to_send(text: str) -> None:
                answers.append(await send(ann, room_id, text))

            async with trio.open_nursery() as nursery:
                for text in ("one", "two", "three"):
                    nursery.start_soon(try_to_send, text)
            assert sorted(answer.status for answer in answers) == [201, 503, 503]
            assert len(gateway.fanout.told) == 1

    async def test_two_senders_may_use_the_same_client_message_id(self, gateway: Gateway) -> None:
        ann, bob = await gateway.user("ann"), await gateway.user("bob")
        room_id = await gateway.room("ann", "bob")
        first = await send(ann, room_id, clientMessageId="c1")
        second = await send(bob, room_id, clientMessageId="c1")
        assert first.json["id"] != second.json["id"]

    async def test_unknown_part_types_and_keys_come_back_untouched(self, gateway: Gateway) -> None:
        ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
        raw = b'[{"type":"data-poll","data":{"q":"\xc3\xa9","n":[1.50,null]},"x-extra":{"deep":[{}]}}]'
        answer = await ann.send("POST", f"/chat/rooms/{room_id}/messages", b'{"parts":' + raw + b"}")
        assert answer.status == 201
        assert raw in answer.body
        listed = await ann.get(f"/chat/rooms/{room_id}/messages")
        assert raw in listed.body

    async def test_an_image_in_the_message_itself_fits(self, gateway: Gateway) -> None:
        ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
        part = {"type": "file", "mediaType": "image/*", "url": "data:image/png;base64," + "A" * 400_000}
        answer = await ann.post(f"/chat/rooms/{room_id}/messages", {"parts": [part]})
        assert answer.json["parts"] == [part]
        assert answer.json["previewText"] == "Photo"

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "parts"),
            ({"parts": []}, "parts"),
            ({"parts": None}, "parts"),
            ({"parts": "hi"}, "parts"),
            ({"parts": [{"text": "hi"}]}, "parts[0].type"),
            ({"parts": text("hi"), "senderId": 7}, "senderId"),
            ({"parts": text("hi"), "clientMessageId": 7}, "clientMessageId"),
            ({"parts": text("hi"), "clientMessageId": ""}, "clientMessageId"),
            ({"parts": text("hi"), "clientMessageId": "x" * 256}, "clientMessageId"),
            ({"parts": text("hi"), "parentMessageId": "no-such-message"}, "parentMessageId"),
            ({"parts": [{"type": "data-call", "data": {}}]}, "data-call"),
            ({"parts": [{"type": "data-membership", "data": {}}]}, "data-membership"),
        ],
    )
    async def test_a_bad_body_is_refused_and_nobody_told(
        self, gateway: Gateway, body: Any, field: str
    ) -> None:
        ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
        answer = await ann.post(f"/chat/rooms/{room_id}/messages", body)
        assert answer.status == 400
        assert field in answer.json["error"]
        assert gateway.fanout.told == []
        assert (await ann.get(f"/chat/rooms/{room_id}/messages")).json["messages"] == []

    async def test_the_backend_writes_as_any_participant_and_may_log_calls(self, gateway: Gateway) -> None:
        room_id = await gateway.room("ann", "bob")
        log = {
            "callId": "c",
            "callType": "audio",
            "outcome": "missed",
            "initiatedByUserId": "ann",
            "isGroup": False,
        }
        body = {"senderId": "ann", "parts": [{"type": "data-call", "data": log}]}
        answer = await gateway.server.post(f"/chat/rooms/{room_id}/messages", body)
        assert answer.status == 201
        assert answer.json["previewText"] == "Missed voice call"
        assert (await send(gateway.server, room_id, senderId="eve")).status == 404

    async def test_a_reply_carries_what_it_replies_to(self, gateway: Gateway) -> None:
        ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
        parent = (await send(ann, room_id, "question")).json
        reply = (await send(ann, room_id, "answer", parentMessageId=parent["id"])).json
        assert reply["parentMessageId"] == parent["id"]
        assert reply["parentMessage"] == {
            "id": parent["id"],
            "senderId": "ann",
            "parts": text("question"),
            "previewText": "question",
            "deleted": False,
        }

    async def test_a_message_of_another_room_is_no_parent(self, gateway: Gateway) -> None:
        ann = await gateway.user("ann")
        here, there = await gateway.room("ann", "bob"), await gateway.room("ann", "cid")
        parent = (await send(ann, there)).json["id"]
        assert (await send(ann, here, parentMessageId=parent)).status == 400

    async def test_a_frozen_room_takes_messages_of_the_backend_only(self, gateway: Gateway) -> None:
        ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob", isFrozen=True)
        assert (await send(ann, room_id)).status == 403
        assert (await send(gateway.server, room_id, senderId="ann")).status == 201

    async def test_a_user_who_sends_too_much_is_told_when_to_go_on(self, gateway: Gateway) -> None:
        ann, bob = await gateway.user("ann"), await gateway.user("bob")
        room_id = await gateway.room("ann", "bob")
        statuses = [(await send(ann, room_id)).status for _ in range(20)]
        refused = await send(ann, room_id)
        assert statuses == [201] * 20
        assert (refused.status, refused.json["code"]) == (429, "rate_limited")
        assert refused.headers["Retry-After"] == "1"
        assert (await send(bob, room_id)).status == 201
        assert (await send(gateway.server, room_id, senderId="ann")).status == 201
        gateway.clock.now += 1
        assert (await send(ann, room_id)).status == 201


class TestList:
    async def test_newest_first_and_every_page_goes_further_back(self, gateway: Gateway) -> None:
        ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
        sent = [(await send(ann, room_id, str(number))).json["id"] for number in range(7)]
        seen: list[str] = []
        cursor = ""
        while True:
            page = (await ann.get(f"/chat/rooms/{room_id}/messages?limit=3{cursor}")).json
            seen += [message["id"] for message in page["messages"]]
            if page["nextCursor"] is None:
                break
            cursor = f"&cursor={page['nextCursor']}"
        assert seen == sent[::-1]

    async def test_a_page_is_not_moved_by_what_is_sent_meanwhile(self, gateway: Gateway) -> None:
        ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
        sent = [(await send(ann, room_id, str(number))).json["id"] for number in range(4)]
        first = (await ann.get(f"/chat/rooms/{room_id}/messages?limit=2")).json
        await send(ann, room_id, "newer")
        second = (await ann.get(f"/chat/rooms/{room_id}/messages?limit=2&cursor={first['nextCursor']}")).json
        assert [message["id"] for message in second["messages"]] == sent[1::-1]

    async def test_a_listed_message_is_the_one_that_was_sent(self, gateway: Gateway) -> None:
        ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
        parent = (await send(ann, room_id)).json
        sent = (await send(ann, room_id, "reply", parentMessageId=parent["id"], clientMessageId="c")).json
        page = (await ann.get(f"/chat/rooms/{room_id}/messages?limit=1")).json
        assert page["messages"] == [sent]
        assert page.keys() == {"messages", "nextCursor", "peerLastReadAt", "peerLastDeliveredAt"}

    async def test_the_peers_mark_is_shown_between_two_and_not_in_groups(self, gateway: Gateway) -> None:
        ann, bob = await gateway.user("ann"), await gateway.user("bob")
        direct, group = await gateway.room("ann", "bob"), await gateway.room("ann", "bob", "cid", name="Team")
        for room_id in (direct, group):
            message = (await send(ann, room_id)).json
            mark = (await bob.post(f"/chat/rooms/{room_id}/read", {})).json
            page = (await ann.get(f"/chat/rooms/{room_id}/messages")).json
            assert page["peerLastReadAt"] == (mark["lastReadAt"] if room_id == direct else None)
            assert mark["lastReadAt"] >= message["createdAt"]

    async def test_limits_are_clamped_and_foreign_cursors_refused(self, gateway: Gateway) -> None:
        ann, room_id = await gateway.user("ann"), await gateway.room("ann", "bob")
        for _ in range(101):
            await send(gateway.server, room_id, senderId="ann")
        path = f"/chat/rooms/{room_id}/messages"
        sizes = {"?limit=0": 1, "?limit=1000": 100, "": 50}
        for query, size in sizes.items():
            assert len((await ann.get(f"{path}{query}")).json["messages"]) == size
        for cursor in ("x", "%00", "e30", "A" * 1_000):
            assert (await ann.get(f"{path}?cursor={cursor}")).status == 400
