"""Sends that wait at the same time are stored together, and nobody can tell."""

from __future__ import annotations

import msgspec
import pytest
import trio

from gateway.errors import Forbidden, GatewayError, InvalidRequest, NotFound
from gateway.records import Sent
from gateway.store.ports import MessageDraft

from .conftest import Home


async def send_at_once(home: Home, drafts: list[MessageDraft]) -> list[Sent | GatewayError]:
    """What each is told; none of them had to be tried again alone."""
    outcomes: dict[int, Sent | GatewayError] = {}

    async def send(number: int) -> None:
        try:
            outcomes[number] = await home.store.send_message(drafts[number])
        except GatewayError as error:
            outcomes[number] = error

    async with trio.open_nursery() as nursery:
        for number in range(len(drafts)):
            nursery.start_soon(send, number)
    assert home.store.statistics()["rollbacks"] == 0
    return [outcomes[number] for number in range(len(drafts))]


async def test_each_is_behind_the_others_in_its_room_and_in_the_log(home: Home) -> None:
    here, there = await home.room("ann", "bob"), await home.room("ann", "cid")
    began = (await home.store.log_heads([home.tenant_id]))[home.tenant_id]

    drafts = [home.draft((here, there)[n % 2].id, "ann", str(n)) for n in range(8)]
    sent = [outcome for outcome in await send_at_once(home, drafts) if isinstance(outcome, Sent)]
    told = {one.event.number: one for one in sent if one.event is not None}

    assert sorted(told) == [*range(began + 1, began + 9)]
    for room in (here, there):
        page = await home.store.messages_page(home.tenant_id, room.id, viewer_id="ann")
        stored = page.messages[::-1]
        assert [message.created_at for message in stored] == sorted(
            {message.created_at for message in stored}
        )
        in_log = [told[number].message for number in sorted(told) if told[number].message.room_id == room.id]
        assert [message.id for message in in_log] == [message.id for message in stored]
        assert msgspec.json.encode(in_log) == msgspec.json.encode(stored)
    # The chain that tells who comes back what he has missed.
    missed = await home.store.missed_events(home.tenant_id, "cid", after=began, until=began + 8, limit=10)
    assert missed is not None
    assert [event.number for event in missed] == [
        n for n in sorted(told) if told[n].message.room_id == there.id
    ]


async def test_who_is_refused_is_so_alone_and_the_others_are_stored(home: Home) -> None:
    room, frozen = await home.room("ann", "bob"), await home.room("ann", "bob", is_frozen=True)
    elsewhere = await home.say((await home.room("ann")).id, "ann")

    outcomes = await send_at_once(
        home,
        [
            home.draft(room.id, "ann", "first"),
            home.draft(room.id, "eve"),
            home.draft(frozen.id, "ann"),
            home.draft("no such room", "ann"),
            home.draft(room.id, "ann", parent_message_id=elsewhere.id),
            home.draft(room.id, "bob", "last"),
        ],
    )

    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [Sent, NotFound, Forbidden, NotFound, InvalidRequest, Sent]
    assert sorted(map(str, await home.texts(room.id, "ann"))) == ["first", "last"]


async def test_of_one_that_is_sent_twice_at_once_there_is_one(home: Home) -> None:
    room = await home.room("ann", "bob")

    twins = [home.draft(room.id, "ann", "twice", client_message_id="c1") for _ in range(3)]
    sent = [outcome for outcome in await send_at_once(home, twins) if isinstance(outcome, Sent)]

    assert len({one.message.id for one in sent}) == 1
    assert sorted(one.repeated for one in sent) == [False, True, True]
    assert [one.event is None for one in sent] == [one.repeated for one in sent]
    assert await home.texts(room.id, "bob") == ["twice"]


async def test_the_same_words_for_a_room_of_another_tenant_are_no_repetition(home: Home) -> None:
    """Two tenants may call their users alike, and a room's id is no secret."""
    room = await home.room("ann", "bob")
    stranger = Home(home.store, home.clock, (await home.store.create_tenant("Elsewhere")).id)

    # One of the strangers comes after her, whichever way round they are started.
    drafts = [
        one.draft(room.id, "ann", "private", client_message_id="c1") for one in (stranger, home, stranger)
    ]

    assert [type(outcome) for outcome in await send_at_once(home, drafts)] == [NotFound, Sent, NotFound]


async def test_who_is_refused_alone_does_not_undo_what_others_do(home: Home) -> None:
    room = await home.room("ann", "bob")

    async def refused() -> None:
        with pytest.raises(NotFound):
            await home.say("no such room", "ann")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(home.add, room.id, "cid")
        nursery.start_soon(refused)
        nursery.start_soon(home.add, room.id, "dan")

    assert home.store.statistics()["rollbacks"] == 0


async def test_what_is_unread_counts_what_the_others_sent(home: Home) -> None:
    room = await home.room("ann", "bob")

    await send_at_once(home, [home.draft(room.id, sender) for sender in ("ann", "ann", "bob", "ann")])

    assert [await home.unread(room.id, user_id) for user_id in ("ann", "bob")] == [1, 3]
