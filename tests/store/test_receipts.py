from __future__ import annotations

import pytest

from gateway.errors import NotFound
from gateway.records import MarkedRead, iso

from .conftest import Home


async def read(home: Home, room_id: str, user_id: str, message_id: str | None = None) -> MarkedRead:
    return await home.store.mark_read(home.tenant_id, room_id, user_id, message_id=message_id)


async def peer_last_read_at(home: Home, room_id: str, viewer_id: str | None) -> str | None:
    page = await home.store.messages_page(home.tenant_id, room_id, viewer_id=viewer_id)
    return page.peer_last_read_at


async def test_reading_up_to_now_leaves_nothing_unread_and_tells_everyone(home: Home) -> None:
    room = await home.room("ann", "bob")
    await home.say(room.id, "ann")
    last = await home.say(room.id, "ann")
    home.clock.ms += 9_000

    marked = await read(home, room.id, "bob")

    assert marked.recipients == ("ann", "bob")
    assert (marked.mark.unread_count, marked.mark.last_read_message_id) == (0, last.id)
    assert marked.mark.last_read_at == iso(home.clock.ms)
    (entry,) = await home.rooms("bob")
    assert (entry.unread_count, entry.last_read_message_id) == (0, last.id)


async def test_reading_up_to_an_older_message_counts_what_others_wrote_since(home: Home) -> None:
    room = await home.room("ann", "bob")
    first = await home.say(room.id, "ann")
    await home.say(room.id, "bob")
    await home.say(room.id, "ann")
    home.clock.ms += 9_000

    marked = await read(home, room.id, "bob", first.id)

    assert marked.mark.unread_count == 1
    assert marked.mark.last_read_at == first.created_at


async def test_the_mark_never_moves_back_and_a_mark_that_stays_tells_nobody(home: Home) -> None:
    room = await home.room("ann", "bob")
    first = await home.say(room.id, "ann")
    last = await home.say(room.id, "ann")
    before = await read(home, room.id, "bob", last.id)
    home.clock.ms += 9_000

    for message_id in (first.id, last.id, None):
        after = await read(home, room.id, "bob", message_id)
        assert after.recipients == ()
        assert after.mark == before.mark


async def test_the_time_of_reading_is_never_before_the_message_that_was_read(home: Home) -> None:
    room = await home.room("ann", "bob")
    home.clock.ms += 50
    last = await home.say(room.id, "ann")
    home.clock.ms -= 10_000

    assert (await read(home, room.id, "bob")).mark.last_read_at == last.created_at


async def test_reading_an_empty_room_is_answered_and_tells_nobody(home: Home) -> None:
    room = await home.room("ann", "bob")

    marked = await read(home, room.id, "bob")

    assert marked.recipients == ()
    assert (marked.mark.unread_count, marked.mark.last_read_message_id) == (0, None)
    assert marked.mark.last_read_at == room.created_at


async def test_what_cannot_be_read_is_not_found(home: Home) -> None:
    room, other = await home.room("ann"), await home.room("ann")
    elsewhere = await home.say(other.id, "ann")

    for room_id, user_id, message_id in (
        (room.id, "ann", elsewhere.id),
        (room.id, "eve", None),
        ("no-such-room", "ann", None),
    ):
        with pytest.raises(NotFound):
            await read(home, room_id, user_id, message_id)


@pytest.mark.parametrize(
    "draft",
    [{}, {"name": "Deal", "custom_type": "demo_dm"}, {"name": "Deal", "external_id": "dm:ann:bob"}],
)
async def test_in_a_direct_conversation_each_sees_how_far_the_other_has_read(
    home: Home, draft: dict[str, str]
) -> None:
    room = await home.room("ann", "bob", **draft)
    await home.say(room.id, "ann")
    assert await peer_last_read_at(home, room.id, "ann") is None

    marked = await read(home, room.id, "bob")

    page = await home.store.messages_page(home.tenant_id, room.id, viewer_id="ann")
    assert page.peer_last_read_at == marked.mark.last_read_at
    assert page.peer_last_delivered_at == marked.mark.last_read_at
    assert await peer_last_read_at(home, room.id, "bob") is None
    assert await peer_last_read_at(home, room.id, None) is None


@pytest.mark.parametrize(
    ("people", "draft"),
    [
        (("ann", "bob", "cid"), {}),
        (("ann", "bob"), {"name": "Team"}),
        (("ann", "bob", "cid"), {"custom_type": "dm"}),
    ],
)
async def test_in_a_group_nobody_is_the_other(
    home: Home, people: tuple[str, ...], draft: dict[str, str]
) -> None:
    room = await home.room(*people, **draft)
    await home.say(room.id, "ann")
    await read(home, room.id, "bob")

    assert await peer_last_read_at(home, room.id, "ann") is None
