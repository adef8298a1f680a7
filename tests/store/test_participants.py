"""Who is in a room: joining, leaving, roles, and the message that tells of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.errors import Conflict, Forbidden, InvalidRequest, NotFound
from gateway.records import Membership, RoomDetail
from gateway.store.ports import RosterChange

from .conftest import Home


def told(change: RosterChange) -> dict[str, Any]:
    """The message that tells of it."""
    _, event = change.events
    assert event.event == "new-message"
    message: dict[str, Any] = msgspec.json.decode(event.payload)
    return message


def roles(room: RoomDetail) -> dict[str, str]:
    return {one.user_id: one.role for one in room.participants}


class TestJoining:
    async def test_who_joins_is_told_and_served_at_once(self, home: Home) -> None:
        room = await home.room("ann", "bob", name="Team")

        change = await home.add(room.id, "cid", actor_id="ann")

        assert change.membership == Membership("joined", "ann", "cid")
        assert change.recipients == ("ann", "bob", "cid")
        assert [one.user_id for one in change.room.participants] == ["ann", "bob", "cid"]
        assert (await home.send(room.id, "ann")).recipients == ("ann", "bob", "cid")
        roster = await home.store.roster(home.tenant_id, room.id)
        assert roster is not None
        assert roster.user_ids == ("ann", "bob", "cid")

    async def test_who_joins_sees_the_history_which_is_no_news_to_him(self, home: Home) -> None:
        room = await home.room("ann", name="Team")
        await home.say(room.id, "ann", "before")

        await home.add(room.id, "bob")

        assert await home.texts(room.id, "bob") == ["bob joined", "before"]
        assert await home.unread(room.id, "bob") == 0
        marked = await home.store.mark_read(home.tenant_id, room.id, "bob", message_id=None)
        assert marked.recipients == ("ann", "bob")

    async def test_who_is_there_stays_as_he_is(self, home: Home) -> None:
        room = await home.room("ann", "bob", name="Team")

        change = await home.add(room.id, "ann", actor_id="ann")

        assert change == RosterChange(change.room)
        assert roles(change.room) == {"ann": "OPERATOR", "bob": "MEMBER"}
        assert await home.texts(room.id, "ann") == []

    async def test_users_add_nobody_to_a_direct_conversation_but_the_backend_may(self, home: Home) -> None:
        room = await home.room("ann", "bob")

        with pytest.raises(Forbidden):
            await home.add(room.id, "cid", actor_id="ann")
        assert (await home.add(room.id, "cid", actor_id="ann", by_server=True)).recipients

    async def test_a_full_room_takes_nobody(self, home: Home) -> None:
        room = await home.room("ann", "bob", name="Team")

        with pytest.raises(InvalidRequest):
            await home.add(room.id, "cid", max_participants=2)

        assert await home.store.user(home.tenant_id, "cid") is None


class TestLeaving:
    async def test_the_removed_is_told_and_then_served_no_more(self, home: Home) -> None:
        room = await home.room("ann", "bob", name="Team")

        change = await home.remove(room.id, "bob", actor_id="ann")

        assert change.membership == Membership("removed", "ann", "bob")
        assert change.recipients == ("ann", "bob")
        assert [one.user_id for one in change.room.participants] == ["ann"]
        assert (await home.send(room.id, "ann")).recipients == ("ann",)
        assert await home.rooms("bob") == []

    async def test_everyone_may_leave_and_still_gets_the_room_to_see(self, home: Home) -> None:
        room = await home.room("ann", "bob", name="Team")

        change = await home.remove(room.id, "bob", actor_id="bob")

        assert change.membership == Membership("left", "bob", "bob")
        assert [one.user_id for one in change.room.participants] == ["ann"]
        with pytest.raises(NotFound):
            await home.remove(room.id, "bob", actor_id="bob")

    async def test_removing_who_is_not_there_changes_nothing(self, home: Home) -> None:
        room = await home.room("ann", name="Team")

        change = await home.remove(room.id, "bob", actor_id="ann")

        assert change == RosterChange(change.room)

    async def test_the_last_to_leave_leaves_a_room_that_can_be_entered_again(self, home: Home) -> None:
        room = await home.room("ann", name="Team")

        assert (await home.remove(room.id, "ann", actor_id="ann")).room.participants == []

        assert roles((await home.add(room.id, "bob")).room) == {"bob": "OPERATOR"}

    async def test_the_last_operator_to_leave_hands_over_to_the_longest_standing_member(
        self, home: Home
    ) -> None:
        room = await home.room("ann", "bob", "cid", name="Team")

        change = await home.remove(room.id, "ann", actor_id="ann")

        assert roles(change.room) == {"bob": "OPERATOR", "cid": "MEMBER"}

    async def test_an_operator_who_leaves_another_behind_changes_nobodys_role(self, home: Home) -> None:
        room = await home.room("ann", "bob", "cid", name="Team")
        await home.store.change_role(home.tenant_id, room.id, "cid", "OPERATOR", actor_id=None)

        change = await home.remove(room.id, "ann", actor_id="ann")

        assert roles(change.room) == {"bob": "MEMBER", "cid": "OPERATOR"}

    async def test_who_comes_back_sees_the_history_but_not_what_he_had_cleared(self, home: Home) -> None:
        room = await home.room("ann", "bob", name="Team")
        await home.say(room.id, "ann", "cleared")
        await home.store.clear_history(home.tenant_id, room.id, "bob")
        await home.say(room.id, "ann", "kept")
        await home.remove(room.id, "bob", actor_id="bob")
        await home.say(room.id, "ann", "meanwhile")

        await home.add(room.id, "bob")

        assert await home.texts(room.id, "bob") == ["bob joined", "meanwhile", "bob left", "kept"]
        assert await home.unread(room.id, "bob") == 0


class TestOperators:
    async def test_only_they_add_and_remove_others_and_give_roles(self, home: Home) -> None:
        room = await home.room("ann", "bob", "cid", name="Team")

        with pytest.raises(Forbidden):
            await home.add(room.id, "dan", actor_id="bob")
        with pytest.raises(Forbidden):
            await home.remove(room.id, "cid", actor_id="bob")
        with pytest.raises(Forbidden):
            await home.store.change_role(home.tenant_id, room.id, "bob", "OPERATOR", actor_id="bob")
        with pytest.raises(NotFound):
            await home.add(room.id, "dan", actor_id="eve")
        assert (await home.remove(room.id, "cid", actor_id="ann")).recipients

    async def test_an_operator_makes_another_and_may_then_step_down(self, home: Home) -> None:
        room = await home.room("ann", "bob", name="Team")
        change_role = home.store.change_role

        with pytest.raises(Conflict):
            await change_role(home.tenant_id, room.id, "ann", "MEMBER", actor_id="ann")
        await change_role(home.tenant_id, room.id, "bob", "OPERATOR", actor_id="ann")
        changed = await change_role(home.tenant_id, room.id, "ann", "MEMBER", actor_id="ann")

        assert roles(changed) == {"ann": "MEMBER", "bob": "OPERATOR"}

    async def test_a_role_is_for_participants_of_this_tenants_rooms(self, home: Home) -> None:
        room = await home.room("ann", name="Team")

        for tenant_id, user_id in ((home.tenant_id, "eve"), ("another tenant", "ann")):
            with pytest.raises(NotFound):
                await home.store.change_role(tenant_id, room.id, user_id, "OPERATOR", actor_id=None)


class TestTelling:
    async def test_the_message_is_the_actors_and_news_to_everybody_else(self, home: Home) -> None:
        room = await home.room("ann", "bob", name="Team")

        sent = told(await home.add(room.id, "cid", actor_id="ann"))

        message = await home.store.message(home.tenant_id, room.id, sent["id"])
        assert message is not None
        assert msgspec.json.decode(msgspec.json.encode(message)) == sent
        assert message.sender_id == "ann"
        assert msgspec.json.decode(message.parts) == [
            {
                "type": "data-membership",
                "data": {"action": "joined", "actorUserId": "ann", "targetUserId": "cid"},
            }
        ]
        assert [await home.unread(room.id, one) for one in ("ann", "bob", "cid")] == [0, 1, 1]
        entry = await home.listed(room.id, "bob")
        assert entry is not None
        assert entry.last_message is not None
        assert entry.last_message.preview_text == "cid joined"

    async def test_it_calls_people_by_their_names(self, home: Home) -> None:
        room = await home.room("ann", "bob", "cid", name="Team")
        for user_id in ("ann", "bob"):
            await home.store.upsert_user(home.tenant_id, user_id, username=user_id.title())

        removed = await home.remove(room.id, "bob", actor_id="ann")
        left = await home.remove(room.id, "ann", actor_id="ann")

        assert told(removed)["previewText"] == "Ann removed Bob"
        assert told(left)["previewText"] == "Ann left"

    async def test_a_backend_that_names_nobody_acts_for_the_user_himself(self, home: Home) -> None:
        room = await home.room("ann", "bob", name="Team")

        joined = await home.add(room.id, "cid")
        left = await home.remove(room.id, "bob")

        assert joined.membership == Membership("joined", "cid", "cid")
        assert left.membership == Membership("left", "bob", "bob")

    async def test_a_backend_may_name_an_actor_who_is_not_in_the_room(self, home: Home) -> None:
        room = await home.room("ann", "bob", name="Team")

        change = await home.remove(room.id, "bob", actor_id="support", by_server=True)

        assert (told(change)["senderId"], told(change)["previewText"]) == ("support", "support removed bob")

    async def test_the_first_members_of_a_room_are_not_announced(self, home: Home) -> None:
        room = await home.room("ann", "bob", name="Team")

        assert await home.texts(room.id, "ann") == []
