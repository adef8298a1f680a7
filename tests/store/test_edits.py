from __future__ import annotations

import pytest

from gateway.errors import Conflict, Forbidden, NotFound
from gateway.store.edits import MOST_PINS, MOST_REACTIONS
from gateway.store.ports import ChangedMessage, RoomChange

from .conftest import Home


async def react(home: Home, room_id: str, message_id: str, user_id: str, emoji: str = "x") -> ChangedMessage:
    return await home.store.toggle_reaction(home.tenant_id, room_id, message_id, user_id=user_id, emoji=emoji)


async def pin(home: Home, room_id: str, message_id: str, user_id: str | None = "ann") -> ChangedMessage:
    return await home.store.pin_message(home.tenant_id, room_id, message_id, user_id=user_id)


async def test_an_edit_is_announced_to_everyone_after_its_commit(home: Home) -> None:
    room = await home.room("ann", "bob")
    message = await home.say(room.id, "ann", "before")
    told: list[ChangedMessage] = []

    changed = await home.store.edit_message(
        home.edit(room.id, message.id, "after", actor_id="ann"), then=told.append
    )

    assert told == [changed]
    assert changed.recipients == ("ann", "bob")
    assert changed.message.preview_text == "after"
    assert changed.message.edited_at is not None
    assert await home.store.message(home.tenant_id, room.id, message.id) == changed.message


async def test_an_edit_moves_nothing(home: Home) -> None:
    room, other = await home.room("ann", "bob"), await home.room("ann", "cid")
    message = await home.say(room.id, "ann")
    await home.say(room.id, "ann", "newest")
    home.clock.ms += 1_000
    await home.say(other.id, "ann")
    await home.store.mark_read(home.tenant_id, room.id, "bob", message_id=None)

    await home.store.edit_message(home.edit(room.id, message.id, "after"))

    assert [entry.id for entry in await home.rooms("ann")] == [other.id, room.id]
    assert await home.unread(room.id, "bob") == 0
    assert await home.texts(room.id, "bob") == ["newest", "after"]


async def test_another_may_not_edit_and_a_stranger_does_not_know_it_exists(home: Home) -> None:
    room = await home.room("ann", "bob")
    message = await home.say(room.id, "bob")

    with pytest.raises(Forbidden):
        await home.store.edit_message(home.edit(room.id, message.id, "x", actor_id="ann"))
    with pytest.raises(NotFound):
        await home.store.edit_message(home.edit(room.id, message.id, "x", actor_id="eve"))
    assert await home.texts(room.id, "bob") == ["hello"]


async def test_a_reaction_may_be_taken_back_when_no_more_are_taken(home: Home) -> None:
    room = await home.room("ann", "bob")
    message = await home.say(room.id, "ann")
    for number in range(MOST_REACTIONS):
        await react(home, room.id, message.id, "ann", str(number))

    with pytest.raises(Conflict):
        await react(home, room.id, message.id, "bob")
    changed = await react(home, room.id, message.id, "ann", "0")

    assert len(changed.message.reactions) == MOST_REACTIONS - 1


async def test_pins_of_one_moment_keep_their_order_and_have_a_bound(home: Home) -> None:
    room = await home.room("ann", "bob")
    ids = [(await home.say(room.id, "ann")).id for _ in range(MOST_PINS + 1)]
    for message_id in ids[:0:-1]:
        await pin(home, room.id, message_id)

    with pytest.raises(Conflict):
        await pin(home, room.id, ids[0])

    pins = await home.store.pinned_messages(home.tenant_id, room.id, viewer_id="bob")
    assert [message.id for message in pins.messages] == ids[1:]


async def test_pins_that_a_viewer_has_cleared_away_are_not_shown_to_him(home: Home) -> None:
    room = await home.room("ann", "bob")
    await pin(home, room.id, (await home.say(room.id, "ann")).id)
    await home.store.clear_history(home.tenant_id, room.id, "bob")
    newer = await home.say(room.id, "ann")
    await pin(home, room.id, newer.id)

    for viewer_id, count in (("bob", 1), ("ann", 2), (None, 2)):
        pins = await home.store.pinned_messages(home.tenant_id, room.id, viewer_id=viewer_id)
        assert len(pins.messages) == count
    with pytest.raises(NotFound):
        await home.store.pinned_messages(home.tenant_id, room.id, viewer_id="eve")


async def test_a_frozen_room_is_changed_by_the_backend_only(home: Home) -> None:
    room = await home.room("ann", "bob")
    message = await home.say(room.id, "ann")
    await home.store.change_room(home.tenant_id, room.id, RoomChange(is_frozen=True), actor_id=None)

    for refused in (
        home.store.edit_message(home.edit(room.id, message.id, "x", actor_id="ann")),
        react(home, room.id, message.id, "ann"),
        pin(home, room.id, message.id),
        home.store.unpin_message(home.tenant_id, room.id, message.id, user_id="ann"),
    ):
        with pytest.raises(Forbidden):
            await refused
    changed = await home.store.toggle_reaction(
        home.tenant_id, room.id, message.id, user_id="ann", emoji="x", by_server=True
    )
    assert len(changed.message.reactions) == 1


async def test_replies_come_newest_first_in_pages(home: Home) -> None:
    room = await home.room("ann", "bob")
    question = await home.say(room.id, "ann")
    replies = [await home.say(room.id, "bob", str(n), parent_message_id=question.id) for n in range(3)]
    await home.say(room.id, "bob")

    first = await home.store.replies_page(home.tenant_id, room.id, question.id, viewer_id="ann", limit=2)
    second = await home.store.replies_page(
        home.tenant_id, room.id, question.id, viewer_id="ann", limit=2, cursor=first.next_cursor
    )

    assert [*first.messages, *second.messages] == replies[::-1]
    assert second.next_cursor is None
