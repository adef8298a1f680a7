from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Answer, Client, Gateway, Told


async def add(client: Client, room_id: str, user_id: str, **more: Any) -> Answer:
    return await client.post(f"/chat/rooms/{room_id}/participants", {"userId": user_id, **more})


async def remove(client: Client, room_id: str, user_id: str, query: str = "") -> Answer:
    return await client.delete(f"/chat/rooms/{room_id}/participants/{user_id}{query}")


def roster(answer: Answer) -> list[tuple[str, str, str]]:
    assert answer.status == 200, answer.body
    return [(one["userId"], one["role"], one["username"]) for one in answer.json["participants"]]


def taken(gateway: Gateway) -> list[Told]:
    """What has been told since the last look."""
    told, gateway.fanout.told[:] = list(gateway.fanout.told), []
    return told


class TestJoining:
    async def test_an_operator_lets_a_new_user_in_and_all_are_told_in_order(self, gateway: Gateway) -> None:
        ann = await gateway.user("ann")
        room_id = await gateway.room("ann", "bob", name="Team")

        answer = await add(ann, room_id, "cid", username="Cid", actorUserId="ann")

        assert roster(answer) == [
            ("ann", "OPERATOR", "Ann"),
            ("bob", "MEMBER", "bob"),
            ("cid", "MEMBER", "Cid"),
        ]
        changed, message = taken(gateway)
        assert changed == Told(
            gateway.tenant_id, ("ann", "bob", "cid"), "room-participants-changed", changed.payload
        )
        assert changed.json == {
            "roomId": room_id,
            "action": "joined",
            "targetUserId": "cid",
            "actorUserId": "ann",
        }
        assert (message.event, message.user_ids) == ("new-message", ("ann", "bob", "cid"))
        assert (message.json["senderId"], message.json["previewText"]) == ("ann", "Cid joined")
        stored = await ann.get(f"/chat/rooms/{room_id}/messages")
        assert stored.json["messages"] == [message.json]

    async def test_a_user_without_a_name_is_called_by_his_id(self, gateway: Gateway) -> None:
        room_id = await gateway.room("ann", name="Team")

        assert roster(await add(gateway.server, room_id, "cid"))[1] == ("cid", "MEMBER", "cid")

    async def test_who_is_there_already_is_a_success_that_nobody_is_told_of(self, gateway: Gateway) -> None:
        ann = await gateway.user("ann")
        room_id = await gateway.room("ann", "bob", name="Team")

        assert len(roster(await add(ann, room_id, "bob"))) == 2
        assert taken(gateway) == []

    async def test_an_operator_does_not_rename_who_has_a_name(self, gateway: Gateway) -> None:
        ann = await gateway.user("ann")
        await gateway.user("cid")
        room_id = await gateway.room("ann", name="Team")

        assert roster(await add(ann, room_id, "cid", username="Impostor"))[1][2] == "Cid"

    async def test_nobody_is_let_into_a_direct_conversation_by_a_user(self, gateway: Gateway) -> None:
        ann = await gateway.user("ann")
        room_id = await gateway.room("ann", "bob", externalId="dm:ann:bob")

        refused = await add(ann, room_id, "cid")

        assert (refused.status, refused.json["code"]) == (403, "direct_room")
        assert (await add(gateway.server, room_id, "cid")).status == 200

    async def test_a_user_acts_in_no_other_name_than_his_own(self, gateway: Gateway) -> None:
        ann = await gateway.user("ann")
        room_id = await gateway.room("ann", "bob", name="Team")

        assert (await add(ann, room_id, "cid", actorUserId="bob")).status == 403
        assert (await remove(ann, room_id, "bob", "?actorUserId=bob")).status == 403

    @pytest.mark.parametrize(
        "body", [{}, {"userId": ""}, {"userId": 7}, {"userId": "x" * 256}, {"userId": "x", "username": ""}]
    )
    async def test_who_must_be_said(self, gateway: Gateway, body: Any) -> None:
        room_id = await gateway.room("ann", name="Team")

        answer = await gateway.server.post(f"/chat/rooms/{room_id}/participants", body)

        assert answer.status == 400

    async def test_sockets_are_judged_by_the_new_roster_at_once(self, gateway: Gateway) -> None:
        room_id = await gateway.room("ann", name="Team")
        await gateway.rosters.load(gateway.tenant_id, room_id)

        await add(gateway.server, room_id, "cid")
        joined = await gateway.rosters.load(gateway.tenant_id, room_id)
        await remove(gateway.server, room_id, "cid")
        left = await gateway.rosters.load(gateway.tenant_id, room_id)

        assert joined is not None
        assert "cid" in joined.members
        assert left is not None
        assert "cid" not in left.members


class TestLeaving:
    async def test_the_removed_is_told_but_gets_no_message_any_more(self, gateway: Gateway) -> None:
        ann, bob = await gateway.user("ann"), await gateway.user("bob")
        room_id = await gateway.room("ann", "bob", name="Team")

        answer = await remove(ann, room_id, "bob", "?actorUserId=ann")

        assert roster(answer) == [("ann", "OPERATOR", "Ann")]
        changed, message = taken(gateway)
        assert (changed.event, changed.user_ids) == ("room-participants-changed", ("ann", "bob"))
        assert changed.json == {
            "roomId": room_id,
            "action": "removed",
            "targetUserId": "bob",
            "actorUserId": "ann",
        }
        assert (message.event, message.user_ids) == ("new-message", ("ann",))
        assert message.json["previewText"] == "Ann removed Bob"
        assert (await bob.get(f"/chat/rooms/{room_id}")).status == 404
        assert (await bob.get("/chat/rooms")).json["rooms"] == []

    async def test_his_connections_leave_the_room_before_anybody_is_told(self, gateway: Gateway) -> None:
        room_id = await gateway.room("ann", "bob", name="Team")

        await add(gateway.server, room_id, "cid")
        taken(gateway)
        await remove(gateway.server, room_id, "cid")

        assert gateway.fanout.expelled == [("cid", room_id, 0)]

    async def test_every_member_may_leave_and_sees_who_stays(self, gateway: Gateway) -> None:
        await gateway.user("ann")
        bob = await gateway.user("bob")
        room_id = await gateway.room("ann", "bob", name="Team")

        assert roster(await remove(bob, room_id, "bob")) == [("ann", "OPERATOR", "Ann")]

        changed, message = taken(gateway)
        assert (changed.json["action"], changed.json["actorUserId"]) == ("left", "bob")
        assert message.json["previewText"] == "Bob left"
        assert (await remove(bob, room_id, "bob")).status == 404

    async def test_the_last_operator_hands_over(self, gateway: Gateway) -> None:
        ann = await gateway.user("ann")
        room_id = await gateway.room("ann", "bob", "cid", name="Team")

        answer = await remove(ann, room_id, "ann")

        assert roster(answer) == [("bob", "OPERATOR", "bob"), ("cid", "MEMBER", "cid")]

    async def test_a_frozen_room_can_be_left(self, gateway: Gateway) -> None:
        bob = await gateway.user("bob")
        room_id = await gateway.room("ann", "bob", name="Team", isFrozen=True)

        assert (await remove(bob, room_id, "bob")).status == 200

    async def test_an_id_with_a_slash_in_it_can_be_removed(self, gateway: Gateway) -> None:
        room_id = await gateway.room("ann", "team/bob", name="Team")

        assert len(roster(await remove(gateway.server, room_id, "team%2Fbob"))) == 1


async def test_they_count_against_the_limit_of_messages_but_leaving_is_free(gateway: Gateway) -> None:
    ann = await gateway.user("ann")
    room_id = await gateway.room("ann", name="Team")
    for _ in range(10):
        assert (await add(ann, room_id, "bob")).status == 200
        assert (await remove(ann, room_id, "bob")).status == 200

    assert (await add(ann, room_id, "bob")).status == 429
    assert (await remove(ann, room_id, "bob")).status == 429
    assert (await add(gateway.server, room_id, "bob", actorUserId="ann")).status == 200
    assert (await remove(ann, room_id, "ann")).status == 200


class TestRoles:
    async def test_an_operator_makes_operators(self, gateway: Gateway) -> None:
        ann, bob = await gateway.user("ann"), await gateway.user("bob")
        room_id = await gateway.room("ann", "bob", name="Team")
        path = f"/chat/rooms/{room_id}/participants"

        made = await ann.patch(f"{path}/bob", {"role": "OPERATOR"})

        assert [role for _, role, _ in roster(made)] == ["OPERATOR", "OPERATOR"]
        assert (await remove(bob, room_id, "ann")).status == 200
        alone = await bob.patch(f"{path}/bob", {"role": "MEMBER"})
        assert (alone.status, alone.json["code"]) == (409, "last_operator")
        assert (await bob.patch(f"{path}/ann", {"role": "MEMBER"})).status == 404

    @pytest.mark.parametrize("body", [{}, {"role": "operator"}, {"role": None}, {"role": "OWNER"}])
    async def test_a_role_is_one_of_two(self, gateway: Gateway, body: Any) -> None:
        room_id = await gateway.room("ann", "bob", name="Team")

        answer = await gateway.server.patch(f"/chat/rooms/{room_id}/participants/bob", body)

        assert answer.status == 400


class TestOutOfSight:
    async def test_a_group_is_left(self, gateway: Gateway) -> None:
        bob = await gateway.user("bob")
        room_id = await gateway.room("ann", "bob", name="Team")

        answer = await bob.delete(f"/chat/rooms/{room_id}/for-me")

        assert answer.json == {"roomId": room_id, "action": "left", "left": True, "hidden": False}
        assert [one.event for one in taken(gateway)] == ["room-participants-changed", "new-message"]
        assert [one[:2] for one in gateway.fanout.expelled] == [("bob", room_id)]
        assert (await bob.delete(f"/chat/rooms/{room_id}/for-me")).status == 404

    async def test_a_direct_conversation_is_hidden_and_nobody_is_told(self, gateway: Gateway) -> None:
        ann, bob = await gateway.user("ann"), await gateway.user("bob")
        room_id = await gateway.room("ann", "bob")
        path = f"/chat/rooms/{room_id}"
        say = {"parts": [{"type": "text", "text": "old"}]}
        await ann.post(f"{path}/messages", say)
        taken(gateway)

        answer = await gateway.server.delete(f"{path}/for-me?userId=bob")

        assert answer.json == {"roomId": room_id, "action": "hidden", "left": False, "hidden": True}
        assert taken(gateway) == []
        assert (await bob.get("/chat/rooms")).json["rooms"] == []
        assert (await bob.get(f"{path}/messages")).json["messages"] == []
        assert len((await ann.get(f"{path}/messages")).json["messages"]) == 1
        await ann.post(f"{path}/messages", {"parts": [{"type": "text", "text": "new"}]})
        (back,) = (await bob.get("/chat/rooms")).json["rooms"]
        assert (back["lastMessage"]["previewText"], back["unreadCount"]) == ("new", 1)
        assert len((await bob.get(f"{path}/messages")).json["messages"]) == 1

    async def test_clearing_is_for_one_user_alone(self, gateway: Gateway) -> None:
        ann, bob = await gateway.user("ann"), await gateway.user("bob")
        room_id = await gateway.room("ann", "bob")
        path = f"/chat/rooms/{room_id}"
        await ann.post(f"{path}/messages", {"parts": [{"type": "text", "text": "old"}]})

        answer = await bob.post(f"{path}/clear-history", {"userId": "bob"})

        assert answer.json.keys() == {"roomId", "clearedAt"}
        (of_bob,), (of_ann,) = [(await one.get("/chat/rooms")).json["rooms"] for one in (bob, ann)]
        assert (of_bob["lastMessage"], of_bob["unreadCount"]) == (None, 0)
        assert of_ann["lastMessage"]["previewText"] == "old"
