from __future__ import annotations

import pytest

from gateway.errors import NotFound
from gateway.records import DeliveryMark, iso

from .conftest import Home


async def deliver(home: Home, room_id: str, user_id: str, message_id: str | None = None) -> DeliveryMark:
    return await home.store.mark_delivered(home.tenant_id, room_id, user_id, message_id=message_id)


async def peer_marks(home: Home, room_id: str) -> tuple[str | None, str | None]:
    """When ann's peer has read, and received."""
    page = await home.store.messages_page(home.tenant_id, room_id, viewer_id="ann")
    return page.peer_last_read_at, page.peer_last_delivered_at


async def test_what_has_arrived_is_shown_to_the_peer_and_is_not_read(home: Home) -> None:
    room = await home.room("ann", "bob")
    message = await home.say(room.id, "ann")
    home.clock.ms += 9_000

    mark = await deliver(home, room.id, "bob")

    assert mark == DeliveryMark(room.id, "bob", iso(home.clock.ms), message.id)
    assert await peer_marks(home, room.id) == (None, mark.last_delivered_at)
    assert await home.unread(room.id, "bob") == 1


async def test_the_mark_never_goes_back(home: Home) -> None:
    room = await home.room("ann", "bob")
    messages = [await home.say(room.id, "ann") for _ in range(3)]
    second = await deliver(home, room.id, "bob", messages[1].id)
    assert second.last_delivered_at == messages[1].created_at
    home.clock.ms += 9_000

    assert await deliver(home, room.id, "bob", messages[0].id) == second
    assert await deliver(home, room.id, "bob", messages[1].id) == second
    assert (await deliver(home, room.id, "bob")).last_delivered_at == iso(home.clock.ms)


async def test_what_is_read_has_arrived(home: Home) -> None:
    room = await home.room("ann", "bob")
    message = await home.say(room.id, "ann")
    await home.store.mark_read(home.tenant_id, room.id, "bob", message_id=None)
    read_at, delivered_at = await peer_marks(home, room.id)

    assert read_at == delivered_at
    assert (await deliver(home, room.id, "bob")).last_delivered_message_id == message.id


async def test_in_a_room_without_messages_there_is_nothing_to_mark(home: Home) -> None:
    room = await home.room("ann", "bob")
    assert (await deliver(home, room.id, "bob")).last_delivered_message_id is None
    assert await peer_marks(home, room.id) == (None, None)


async def test_strangers_and_foreign_messages_are_refused(home: Home) -> None:
    room, other = await home.room("ann", "bob"), await home.room("ann", "cid")
    message = await home.say(other.id, "ann")
    with pytest.raises(NotFound):
        await deliver(home, room.id, "eve")
    with pytest.raises(NotFound):
        await deliver(home, room.id, "bob", message.id)
