from __future__ import annotations

import pytest

from gateway.errors import Forbidden, InvalidRequest, NotFound
from gateway.store.ports import NewParticipant, RosterChange

from .conftest import Home


async def add(home: Home, room_id: str, user_id: str, *, actor_id: str | None = None) -> RosterChange:
    return await home.store.add_participant(
        home.tenant_id, room_id, NewParticipant(user_id), actor_id=actor_id, max_participants=4
    )


async def remove(
    home: Home, room_id: str, user_id: str, *, actor_id: str | None = None, clear: bool = False
) -> RosterChange:
    return await home.store.remove_participant(
        home.tenant_id, room_id, user_id, actor_id=actor_id, clear=clear
    )


async def test_who_joins_is_told_and_served_at_once(home: Home) -> None:
    room = await home.room("ann", "bob", name="Team")

    change = await add(home, room.id, "cid", actor_id="ann")

    assert (change.changed, change.recipients) == (True, ("ann", "bob", "cid"))
    assert [one.user_id for one in change.room.participants] == ["ann", "bob", "cid"]
    assert (await home.send(room.id, "ann")).recipients == ("ann", "bob", "cid")
    roster = await home.store.roster(home.tenant_id, room.id)
    assert roster is not None
    assert roster.user_ids == ("ann", "bob", "cid")


async def test_who_joins_sees_the_history_and_has_nothing_unread(home: Home) -> None:
    room = await home.room("ann", name="Team")
    await home.say(room.id, "ann", "before")

    await add(home, room.id, "bob")

    assert await home.texts(room.id, "bob") == ["before"]
    assert await home.unread(room.id, "bob") == 0
    marked = await home.store.mark_read(home.tenant_id, room.id, "bob", message_id=None)
    assert marked.recipients == ("ann", "bob")


async def test_adding_who_is_there_changes_nothing(home: Home) -> None:
    room = await home.room("ann", "bob", name="Team")

    change = await add(home, room.id, "bob", actor_id="ann")

    assert (change.changed, change.recipients) == (False, ())


async def test_only_operators_add_and_remove_others(home: Home) -> None:
    room = await home.room("ann", "bob", "cid", name="Team")

    with pytest.raises(Forbidden):
        await add(home, room.id, "dan", actor_id="bob")
    with pytest.raises(Forbidden):
        await remove(home, room.id, "cid", actor_id="bob")
    with pytest.raises(NotFound):
        await add(home, room.id, "dan", actor_id="eve")
    assert (await remove(home, room.id, "cid", actor_id="ann")).changed


async def test_users_add_nobody_to_a_direct_conversation_but_the_backend_may(home: Home) -> None:
    room = await home.room("ann", "bob")

    with pytest.raises(Forbidden):
        await add(home, room.id, "cid", actor_id="ann")
    assert (await add(home, room.id, "cid")).changed


async def test_a_full_room_takes_nobody(home: Home) -> None:
    room = await home.room("ann", "bob", "cid", "dan", name="Team")

    with pytest.raises(InvalidRequest):
        await add(home, room.id, "eve")

    assert await home.store.user(home.tenant_id, "eve") is None


async def test_the_removed_is_told_and_then_served_no_more(home: Home) -> None:
    room = await home.room("ann", "bob", name="Team")

    change = await remove(home, room.id, "bob", actor_id="ann")

    assert change.recipients == ("ann", "bob")
    assert [one.user_id for one in change.room.participants] == ["ann"]
    assert (await home.send(room.id, "ann")).recipients == ("ann",)
    assert await home.rooms("bob") == []


async def test_everyone_may_leave_and_still_gets_the_room_to_see(home: Home) -> None:
    room = await home.room("ann", "bob", name="Team")

    change = await remove(home, room.id, "bob", actor_id="bob")

    assert [one.user_id for one in change.room.participants] == ["ann"]
    with pytest.raises(NotFound):
        await remove(home, room.id, "bob", actor_id="bob")


async def test_removing_who_is_not_there_changes_nothing(home: Home) -> None:
    room = await home.room("ann", name="Team")

    assert not (await remove(home, room.id, "bob", actor_id="ann")).changed


async def test_the_last_operator_to_leave_hands_over_to_the_longest_standing_member(home: Home) -> None:
    room = await home.room("ann", "bob", "cid", name="Team")

    change = await remove(home, room.id, "ann", actor_id="ann")

    assert [(one.user_id, one.role) for one in change.room.participants] == [
        ("bob", "OPERATOR"),
        ("cid", "MEMBER"),
    ]


async def test_who_comes_back_sees_the_history_but_not_what_he_had_cleared(home: Home) -> None:
    room = await home.room("ann", "bob", "cid", name="Team")
    await home.say(room.id, "ann", "cleared")
    await home.store.clear_history(home.tenant_id, room.id, "bob")
    await home.say(room.id, "ann", "kept")
    for user_id in ("bob", "cid"):
        await remove(home, room.id, user_id, actor_id=user_id, clear=user_id == "cid")
    await home.say(room.id, "ann", "meanwhile")

    for user_id in ("bob", "cid"):
        await add(home, room.id, user_id)

    assert await home.texts(room.id, "bob") == ["meanwhile", "kept"]
    assert await home.texts(room.id, "cid") == ["meanwhile"]
    assert await home.unread(room.id, "bob") == 0
