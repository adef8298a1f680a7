"""``then``: once for every write, after its commit, in commit order, come what may."""

from __future__ import annotations

import trio

from gateway.errors import NotFound
from gateway.records import Sent

from .conftest import Home, on_the_loop


async def test_announcements_commits_and_times_have_one_order(home: Home) -> None:
    room = await home.room("ann", "bob")
    announced: list[Sent] = []

    async def write(sender_id: str) -> None:
        for _ in range(20):
            await home.send(room.id, sender_id, then=announced.append)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(write, ("ann", "bob")[number % 2])

    times = [one.message.created_at for one in announced]
    assert len(times) == 400
    assert times == sorted(set(times))
    seen: list[str] = []
    cursor = None
    while True:
        page = await home.store.messages_page(
            home.tenant_id, room.id, viewer_id="ann", limit=100, cursor=cursor
        )
        seen += [message.id for message in page.messages]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen[::-1] == [one.message.id for one in announced]


async def test_what_is_announced_can_be_read_already(home: Home) -> None:
    room = await home.room("ann", "bob")
    readable: list[bool] = []

    async def look(sent: Sent) -> None:
        found = await home.store.message(home.tenant_id, room.id, sent.message.id)
        readable.append(found is not None)

    async with trio.open_nursery() as nursery:
        await home.send(room.id, "ann", then=lambda sent: nursery.start_soon(look, sent))

    assert readable == [True]


async def test_the_announcement_comes_before_the_answer(home: Home) -> None:
    room = await home.room("ann")
    happened: list[str] = []

    await home.send(room.id, "ann", then=lambda _: happened.append("announced"))
    happened.append("answered")

    assert happened == ["announced", "answered"]


async def test_a_write_whose_asker_is_cancelled_happens_and_is_announced(home: Home) -> None:
    room = await home.room("ann", "bob")
    announced: list[Sent] = []
    told = trio.Event()

    def then(sent: Sent) -> None:
        announced.append(sent)
        told.set()

    with trio.CancelScope() as scope:
        home.clock.asked = on_the_loop(scope.cancel)  # while the message is being written
        await home.send(room.id, "ann", then=then)
    await told.wait()

    assert scope.cancelled_caught
    assert len(announced) == 1
    assert await home.unread(room.id, "bob") == 1


async def test_who_is_cancelled_before_asking_writes_nothing(home: Home) -> None:
    room = await home.room("ann", "bob")

    with trio.CancelScope() as scope:
        scope.cancel()
        await home.send(room.id, "ann")

    assert scope.cancelled_caught
    assert await home.unread(room.id, "bob") == 0


async def test_a_refused_write_is_not_announced_and_harms_no_other(home: Home) -> None:
    room = await home.room("ann", "bob")
    announced: list[Sent] = []
    refused: list[str] = []

    async def write(sender_id: str) -> None:
        try:
            await home.send(room.id, sender_id, then=announced.append)
        except NotFound:
            refused.append(sender_id)

    async with trio.open_nursery() as nursery:
        for sender_id in ("ann", "eve", "bob", "eve"):
            nursery.start_soon(write, sender_id)

    assert refused == ["eve", "eve"]
    assert sorted(one.message.sender_id for one in announced) == ["ann", "bob"]


async def test_a_failing_announcement_keeps_neither_the_answer_nor_the_next_one(home: Home) -> None:
    room = await home.room("ann", "bob")
    announced: list[Sent] = []

    def fail(_: Sent) -> None:
        raise ValueError("a bug in delivery")

    async def write(then: object) -> None:
        await home.send(room.id, "ann", then=then)  # type: ignore[arg-type]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write, fail)
        nursery.start_soon(write, announced.append)

    assert len(announced) == 1
    assert len(await home.texts(room.id, "bob")) == 2


async def test_it_is_writing_from_the_moment_it_is_asked_to_until_all_are_told(home: Home) -> None:
    room = await home.room("ann", "bob")
    seen: list[bool] = [home.store.is_writing()]
    home.clock.asked = on_the_loop(lambda: seen.append(home.store.is_writing()))
    await home.say(room.id, "ann")
    assert seen[0] is False
    assert set(seen[1:]) == {True}
    assert not home.store.is_writing()
