from __future__ import annotations

import msgspec
import pytest

from gateway.errors import Forbidden, InvalidRequest, NotFound
from gateway.store.ports import RoomChange

from .conftest import Home


async def test_a_message_comes_back_as_it_was_sent(home: Home) -> None:
    room = await home.room("ann", "bob")
    parts = '[{"type":"x-unknown","deep":{"é":[1,2.50,null]}}]'.encode()

    draft = msgspec.structs.replace(home.draft(room.id, "ann", client_message_id="c1"), parts=parts)
    sent = await home.store.send_message(draft)

    assert bytes(sent.message.parts) == parts
    assert (sent.message.room_id, sent.message.sender_id) == (room.id, "ann")
    assert sent.message.client_message_id == "c1"
    stored = await home.store.message(home.tenant_id, room.id, sent.message.id)
    assert msgspec.json.encode(stored) == msgspec.json.encode(sent.message)


async def test_every_participant_is_a_recipient_the_sender_included(home: Home) -> None:
    room = await home.room("ann", "bob", "cid")

    assert (await home.send(room.id, "bob")).recipients == ("ann", "bob", "cid")


async def test_a_page_is_newest_first_and_pages_follow_without_gap_or_repeat(home: Home) -> None:
    room = await home.room("ann", "bob")
    for number in range(7):
        await home.say(room.id, "ann", str(number))

    seen: list[str | None] = []
    cursor = None
    while True:
        page = await home.store.messages_page(
            home.tenant_id, room.id, viewer_id="bob", limit=3, cursor=cursor
        )
        seen += [message.preview_text for message in page.messages]
        cursor = page.next_cursor
        if cursor is None:
            break
        await home.say(room.id, "ann", "meanwhile")

    assert seen == ["6", "5", "4", "3", "2", "1", "0"]


async def test_created_at_grows_within_a_millisecond_and_when_the_clock_is_set_back(home: Home) -> None:
    room = await home.room("ann")
    times = []
    for step in (0, 0, -60_000, 5, 120_000):
        home.clock.ms += step
        times.append((await home.say(room.id, "ann")).created_at)

    assert times == sorted(set(times))


async def test_the_same_client_message_id_returns_the_first_message_and_tells_nobody(home: Home) -> None:
    room = await home.room("ann", "bob")
    first = await home.send(room.id, "ann", "one", client_message_id="c1")

    again = await home.send(room.id, "ann", "two", client_message_id="c1")

    assert (again.repeated, again.recipients) == (True, ())
    assert msgspec.json.encode(again.message) == msgspec.json.encode(first.message)
    assert await home.texts(room.id, "bob") == ["one"]
    assert await home.unread(room.id, "bob") == 1


async def test_a_client_message_id_is_the_senders_own_in_each_room(home: Home) -> None:
    room, other = await home.room("ann", "bob"), await home.room("ann", "bob")

    sent = [
        await home.send(room.id, "ann", client_message_id="c1"),
        await home.send(room.id, "bob", client_message_id="c1"),
        await home.send(other.id, "ann", client_message_id="c1"),
        await home.send(room.id, "ann"),
        await home.send(room.id, "ann"),
    ]

    assert not any(one.repeated for one in sent)


async def test_a_reply_carries_what_it_replies_to(home: Home) -> None:
    room = await home.room("ann", "bob")
    parent = await home.say(room.id, "ann", "question")

    reply = await home.say(room.id, "bob", "answer", parent_message_id=parent.id)

    assert reply.parent_message_id == parent.id
    assert reply.parent_message is not None
    assert (reply.parent_message.id, reply.parent_message.sender_id) == (parent.id, "ann")
    assert (reply.parent_message.preview_text, reply.parent_message.deleted) == ("question", False)
    assert bytes(reply.parent_message.parts) == bytes(parent.parts)
    page = await home.store.messages_page(home.tenant_id, room.id, viewer_id="ann")
    assert msgspec.json.encode(page.messages[0]) == msgspec.json.encode(reply)


async def test_a_reply_to_a_message_of_another_room_is_refused_and_leaves_nothing(home: Home) -> None:
    room, other = await home.room("ann", "bob"), await home.room("ann")
    elsewhere = await home.say(other.id, "ann")

    with pytest.raises(InvalidRequest):
        await home.say(room.id, "ann", parent_message_id=elsewhere.id)

    assert await home.texts(room.id, "ann") == []
    assert await home.unread(room.id, "bob") == 0


async def test_strangers_other_tenants_and_unknown_rooms_are_told_the_same(home: Home) -> None:
    other = await home.store.create_tenant("Other")
    room = await home.room("ann")
    foreign = msgspec.structs.replace(home.draft(room.id, "ann"), tenant_id=other.id)
    drafts = [home.draft(room.id, "eve"), foreign, home.draft("no-such-room", "ann")]

    answers = set()
    for draft in drafts:
        with pytest.raises(NotFound) as told:
            await home.store.send_message(draft)
        answers.add(told.value.message)
        with pytest.raises(NotFound) as told:
            await home.store.messages_page(
                draft.tenant_id, draft.room_id, viewer_id=draft.sender_id if draft is drafts[0] else None
            )
        answers.add(told.value.message)

    assert len(answers) == 1


async def test_a_stranger_cannot_probe_for_messages_by_replying_to_them(home: Home) -> None:
    room = await home.room("ann")
    message = await home.say(room.id, "ann")

    for parent_message_id in (message.id, "no-such-message"):
        with pytest.raises(NotFound):
            await home.say(room.id, "eve", parent_message_id=parent_message_id)


async def test_a_frozen_room_takes_messages_from_the_backend_only(home: Home) -> None:
    room = await home.room("ann", "bob", is_frozen=True)

    with pytest.raises(Forbidden):
        await home.say(room.id, "ann")
    await home.say(room.id, "ann", "notice", by_server=True)

    assert await home.texts(room.id, "bob") == ["notice"]


async def test_a_repeat_is_answered_though_the_room_is_frozen_by_now(home: Home) -> None:
    room = await home.room("ann")
    first = await home.say(room.id, "ann", client_message_id="c1")
    await home.store.change_room(home.tenant_id, room.id, RoomChange(is_frozen=True), actor_id=None)

    assert (await home.send(room.id, "ann", client_message_id="c1")).message.id == first.id


async def test_a_message_is_found_in_its_own_room_and_tenant_only(home: Home) -> None:
    other = await home.store.create_tenant("Other")
    room, elsewhere = await home.room("ann"), await home.room("ann")
    message = await home.say(room.id, "ann")

    assert await home.store.message(home.tenant_id, room.id, message.id) is not None
    assert await home.store.message(home.tenant_id, elsewhere.id, message.id) is None
    assert await home.store.message(other.id, room.id, message.id) is None


async def test_a_cursor_of_somebody_elses_making_is_refused(home: Home) -> None:
    room = await home.room("ann")
    await home.room("ann")
    page = await home.store.rooms_page(home.tenant_id, viewer_id="ann", limit=1)

    for cursor in ("", "!", "bTE=x", page.next_cursor):
        with pytest.raises(InvalidRequest):
            await home.store.messages_page(home.tenant_id, room.id, viewer_id="ann", cursor=cursor)
