"""What a user puts out of his own sight, and nobody else's."""

from __future__ import annotations

import pytest

from gateway.errors import NotFound

from .conftest import Home


async def test_clearing_takes_the_history_away_from_one_user_alone(home: Home) -> None:
    room = await home.room("ann", "bob")
    await home.say(room.id, "ann", "old")

    await home.store.clear_history(home.tenant_id, room.id, "bob")

    (entry,) = await home.rooms("bob")
    assert (entry.last_message, entry.unread_count) == (None, 0)
    assert await home.texts(room.id, "bob") == []
    assert await home.texts(room.id, "ann") == ["old"]
    await home.say(room.id, "ann", "new")
    assert await home.texts(room.id, "bob") == ["new"]
    assert await home.unread(room.id, "bob") == 1


async def test_a_direct_conversation_deleted_by_one_is_hidden_until_the_next_message(home: Home) -> None:
    room = await home.room("ann", "bob")
    await home.say(room.id, "ann", "old")

    assert await home.store.delete_room_for(home.tenant_id, room.id, "bob") is None

    assert await home.rooms("bob") == []
    (entry,) = await home.rooms("ann")
    assert entry.last_message is not None
    assert entry.last_message.preview_text == "old"
    assert await home.texts(room.id, "ann") == ["old"]
    await home.say(room.id, "ann", "new")
    (entry,) = await home.rooms("bob")
    assert entry.last_message is not None
    assert (entry.last_message.preview_text, entry.unread_count) == ("new", 1)
    assert await home.texts(room.id, "bob") == ["new"]


async def test_what_one_sends_himself_brings_the_room_back_too(home: Home) -> None:
    room = await home.room("ann", "bob")
    await home.store.delete_room_for(home.tenant_id, room.id, "bob")

    await home.say(room.id, "bob", "new")

    (entry,) = await home.rooms("bob")
    assert entry.unread_count == 0


async def test_a_room_that_came_back_shows_nothing_old_when_its_one_message_is_deleted(home: Home) -> None:
    room = await home.room("ann", "bob")
    await home.say(room.id, "ann", "old")
    await home.store.delete_room_for(home.tenant_id, room.id, "bob")
    new = await home.say(room.id, "ann", "new")

    await home.store.delete_message(home.tenant_id, room.id, new.id, actor_id="ann", placeholder=None)

    (entry,) = await home.rooms("bob")
    assert (entry.last_message, entry.unread_count) == (None, 0)


async def test_clearing_a_hidden_room_does_not_show_it(home: Home) -> None:
    room = await home.room("ann", "bob")
    await home.say(room.id, "ann", "old")
    await home.store.delete_room_for(home.tenant_id, room.id, "bob")

    await home.store.clear_history(home.tenant_id, room.id, "bob")

    assert await home.rooms("bob") == []


async def test_a_group_deleted_by_one_is_left_by_him_and_others_are_told(home: Home) -> None:
    room = await home.room("ann", "bob", name="Team")
    await home.say(room.id, "ann", "old")

    change = await home.store.delete_room_for(home.tenant_id, room.id, "bob")

    assert change is not None
    assert change.membership is not None
    assert (change.membership.action, change.membership.actor_user_id) == ("left", "bob")
    assert change.recipients == ("ann", "bob")
    assert await home.rooms("bob") == []
    assert await home.texts(room.id, "ann") == ["bob left", "old"]


async def test_who_comes_back_to_a_group_he_deleted_does_not_see_what_was_before(home: Home) -> None:
    room = await home.room("ann", "bob", name="Team")
    await home.say(room.id, "ann", "old")
    await home.store.delete_room_for(home.tenant_id, room.id, "bob")
    await home.say(room.id, "ann", "meanwhile")

    change = await home.add(room.id, "bob")

    assert change.events
    assert await home.texts(room.id, "bob") == ["bob joined", "meanwhile", "bob left"]


async def test_both_are_for_participants(home: Home) -> None:
    room = await home.room("ann")

    with pytest.raises(NotFound):
        await home.store.clear_history(home.tenant_id, room.id, "eve")
    with pytest.raises(NotFound):
        await home.store.delete_room_for(home.tenant_id, room.id, "eve")
    with pytest.raises(NotFound):
        await home.store.clear_history("another tenant", room.id, "ann")
