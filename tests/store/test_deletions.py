from __future__ import annotations

import pytest

from gateway.errors import Forbidden, NotFound
from gateway.store.ports import ChangedMessage

from .conftest import Home

GONE = "This message was deleted"


async def delete(
    home: Home, room_id: str, message_id: str, *, actor_id: str | None = None, placeholder: str | None = GONE
) -> ChangedMessage:
    return await home.store.delete_message(
        home.tenant_id, room_id, message_id, actor_id=actor_id, placeholder=placeholder
    )


async def test_a_deleted_message_stays_in_its_place_empty(home: Home) -> None:
    room = await home.room("ann", "bob")
    message = await home.say(room.id, "ann", "secret")
    reply = await home.say(room.id, "bob", "reply", parent_message_id=message.id)

    changed = await delete(home, room.id, message.id, actor_id="ann")

    assert changed.recipients == ("ann", "bob")
    assert bytes(changed.message.parts) == b"[]"
    assert (changed.message.preview_text, changed.message.deleted_hidden) == (GONE, False)
    assert changed.message.deleted_at is not None
    assert await home.texts(room.id, "bob") == ["reply", GONE]
    seen = await home.store.message(home.tenant_id, room.id, reply.id)
    assert seen is not None
    assert seen.parent_message is not None
    assert (seen.parent_message.deleted, bytes(seen.parent_message.parts)) == (True, b"[]")


async def test_deleting_twice_is_deleting_once(home: Home) -> None:
    room = await home.room("ann", "bob")
    message = await home.say(room.id, "ann")
    first = await delete(home, room.id, message.id)
    home.clock.ms += 1_000

    again = await delete(home, room.id, message.id)

    assert again.recipients == ()
    assert again.message.deleted_at == first.message.deleted_at
    assert await home.unread(room.id, "bob") == 0


async def test_the_sender_an_operator_and_the_backend_may_delete(home: Home) -> None:
    room = await home.room("ann", "bob", "cid", name="Team")
    for actor_id in ("bob", "ann", None):
        message = await home.say(room.id, "bob")
        assert (await delete(home, room.id, message.id, actor_id=actor_id)).recipients
    message = await home.say(room.id, "bob")

    with pytest.raises(Forbidden):
        await delete(home, room.id, message.id, actor_id="cid")
    with pytest.raises(NotFound):
        await delete(home, room.id, message.id, actor_id="eve")


async def test_the_list_shows_the_placeholder_or_the_last_message_that_is_not_hidden(home: Home) -> None:
    room = await home.room("ann", "bob")
    await home.say(room.id, "ann", "first")
    hidden = await home.say(room.id, "ann", "second")
    marked = await home.say(room.id, "ann", "third")

    await delete(home, room.id, marked.id)
    assert await shown(home, room.id) == GONE
    last = await home.say(room.id, "ann", "fourth")
    await delete(home, room.id, hidden.id, placeholder=None)
    assert await shown(home, room.id) == "fourth"
    await delete(home, room.id, last.id, placeholder=None)
    assert await shown(home, room.id) == GONE


async def test_a_room_whose_messages_are_all_hidden_shows_none(home: Home) -> None:
    room = await home.room("ann", "bob")
    message = await home.say(room.id, "ann")

    await delete(home, room.id, message.id, placeholder=None)

    entry = await home.listed(room.id, "bob")
    assert entry is not None
    assert (entry.last_message, entry.unread_count) == (None, 0)


async def shown(home: Home, room_id: str) -> str | None:
    entry = await home.listed(room_id, "bob")
    assert entry is not None
    assert entry.last_message is not None
    return entry.last_message.preview_text
