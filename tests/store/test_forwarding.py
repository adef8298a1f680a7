from __future__ import annotations

import pytest

from gateway.errors import Forbidden, InvalidRequest, NotFound
from gateway.store.ports import Forwarded

from .conftest import Home


async def test_the_copies_are_messages_like_any_other(home: Home) -> None:
    source, target = await home.room("ann", "bob"), await home.room("bob", "cid")
    message = await home.say(source.id, "ann", "look")
    told: list[Forwarded] = []

    forwarded = await home.store.forward_message(
        home.copy(source.id, message.id, "bob", target.id, source.id), then=told.append
    )

    assert told == [forwarded]
    assert [sent.recipients for sent in forwarded.sent] == [("bob", "cid"), ("ann", "bob")]
    assert [sent.message.room_id for sent in forwarded.sent] == [target.id, source.id]
    assert await home.unread(target.id, "cid") == 1
    assert await home.unread(target.id, "bob") == 0
    assert await home.texts(source.id, "ann") == ["look", "look"]
    copy = forwarded.sent[0].message
    assert (copy.forwarded_from_id, copy.forwarded_from_sender_id) == (message.id, "ann")
    assert await home.store.message(home.tenant_id, target.id, copy.id) == copy


async def test_a_copy_of_a_copy_names_the_first_author(home: Home) -> None:
    room = await home.room("ann", "bob")
    message = await home.say(room.id, "ann")
    copy = (await home.store.forward_message(home.copy(room.id, message.id, "bob", room.id))).sent[0].message

    again = (await home.store.forward_message(home.copy(room.id, copy.id, "ann", room.id))).sent[0].message

    assert (again.forwarded_from_id, again.forwarded_from_sender_id) == (copy.id, "ann")


@pytest.mark.parametrize(("bad", "error"), [("foreign", NotFound), ("frozen", Forbidden), ("none", NotFound)])
async def test_where_one_room_refuses_no_room_gets_it(home: Home, bad: str, error: type[Exception]) -> None:
    source, good = await home.room("ann", "bob"), await home.room("ann", "cid")
    rooms = {
        "foreign": (await home.room("bob", "cid")).id,
        "frozen": (await home.room("ann", "dan", is_frozen=True)).id,
        "none": "none",
    }
    message = await home.say(source.id, "ann")
    told: list[Forwarded] = []

    with pytest.raises(error):
        await home.store.forward_message(
            home.copy(source.id, message.id, "ann", good.id, rooms[bad]), then=told.append
        )

    assert told == []
    assert await home.texts(good.id, "ann") == []
    assert home.store.statistics()["rollbacks"] == 0  # others' writes of the same group went through


async def test_what_one_cannot_see_one_cannot_forward(home: Home) -> None:
    room, target = await home.room("ann", "bob"), await home.room("bob", "eve")
    message = await home.say(room.id, "ann")
    await home.store.clear_history(home.tenant_id, room.id, "bob")
    for user_id in ("bob", "eve"):
        with pytest.raises(NotFound):
            await home.store.forward_message(home.copy(room.id, message.id, user_id, target.id))


async def test_the_empty_place_of_a_deleted_message_is_not_forwarded(home: Home) -> None:
    room = await home.room("ann", "bob")
    message = await home.say(room.id, "ann")
    await home.store.delete_message(home.tenant_id, room.id, message.id, actor_id=None, placeholder="gone")
    with pytest.raises(InvalidRequest):
        await home.store.forward_message(home.copy(room.id, message.id, "ann", room.id))
