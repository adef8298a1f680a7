"""Finding again what was said: only what the viewer can read, as it is now, newest first."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import trio

from gateway.errors import InvalidRequest, NotFound
from gateway.records import SearchPage
from gateway.store.ports import RoomChange, SearchQuery
from tests.store.conftest import Clock, Home, OpenStore


async def search(home: Home, viewer_id: str, text: str, **query: object) -> SearchPage:
    """What is found once the index has seen everything."""
    while await home.store.index_messages():
        pass
    return await home.store.search(
        SearchQuery(tenant_id=home.tenant_id, viewer_id=viewer_id, text=text, **query)  # type: ignore[arg-type]
    )


async def said(home: Home, viewer_id: str, text: str, **query: object) -> list[str | None]:
    return [message.preview_text for message in (await search(home, viewer_id, text, **query)).messages]


async def called(home: Home, viewer_id: str, text: str, **query: object) -> list[str | None]:
    return [room.name for room in (await search(home, viewer_id, text, **query)).rooms]


async def test_a_message_is_found_by_its_words_whole_and_as_it_is_read(home: Home) -> None:
    room = await home.room("ann", "bob")
    parent = await home.say(room.id, "ann", "Where is the report?")
    await home.say(room.id, "bob", "On the table", parent_message_id=parent.id)
    (found,) = (await search(home, "ann", "TABLE")).messages
    page = await home.store.messages_page(home.tenant_id, room.id, viewer_id="ann", limit=1)
    assert found == page.messages[0]
    assert found.parent_message is not None


async def test_the_newest_comes_first_whatever_its_room(home: Home) -> None:
    rooms = [await home.room("ann"), await home.room("ann", "bob"), await home.room("ann")]
    for number in range(9):
        home.clock.ms += 1_000
        await home.say(rooms[number * 2 % 3].id, "ann", f"note {number}")
    assert await said(home, "ann", "note") == [f"note {number}" for number in reversed(range(9))]


async def test_pages_follow_each_other_without_gap_or_double_while_messages_come_in(home: Home) -> None:
    rooms = [await home.room("ann"), await home.room("ann"), await home.room("ann")]
    for number in range(20):
        await home.say(rooms[number % 3].id, "ann", f"note {number}")
    found: list[str | None] = []
    cursor: str | None = None
    while True:
        page = await search(home, "ann", "note", limit=3, cursor=cursor)
        assert len(page.messages) <= 3
        found += [message.preview_text for message in page.messages]
        cursor = page.next_cursor
        if cursor is None:
            break
        await home.say(rooms[0].id, "ann", "note that came later")
    # Messages of one millisecond in several rooms have an order of their own, but each is there once.
    assert sorted(map(str, found)) == sorted(f"note {number}" for number in range(20))


async def test_nobody_finds_what_is_said_in_rooms_he_is_not_in(home: Home) -> None:
    room = await home.room("ann", "bob")
    await home.say(room.id, "ann", "secret plan")
    await home.room("eve")
    assert await said(home, "eve", "secret") == []
    assert await said(home, "nobody", "secret") == []
    stranger = (await home.store.create_tenant("other")).id
    page = await home.store.search(SearchQuery(tenant_id=stranger, viewer_id="ann", text="secret"))
    assert page.messages == []


async def test_who_leaves_finds_nothing_and_who_comes_back_finds_what_he_can_read(home: Home) -> None:
    room = await home.room("ann", "bob")
    await home.say(room.id, "ann", "early words")
    await home.remove(room.id, "bob")
    assert await said(home, "bob", "words") == []
    await home.say(room.id, "ann", "late words")
    await home.add(room.id, "bob")
    assert await said(home, "bob", "words") == ["late words", "early words"]


async def test_what_was_cleared_away_is_not_found_by_who_cleared_it(home: Home) -> None:
    room = await home.room("ann", "bob")
    await home.say(room.id, "ann", "old words")
    await home.store.clear_history(home.tenant_id, room.id, "bob")
    await home.say(room.id, "ann", "new words")
    assert await said(home, "bob", "words") == ["new words"]
    assert await said(home, "ann", "words") == ["new words", "old words"]
    await home.store.delete_room_for(home.tenant_id, room.id, "bob")
    assert await said(home, "bob", "words") == []
    await home.add(room.id, "bob")
    assert await said(home, "bob", "words") == []


async def test_a_deleted_message_is_not_found_at_once_and_not_later(home: Home) -> None:
    room = await home.room("ann")
    message = await home.say(room.id, "ann", "regret")
    assert await said(home, "ann", "regret") == ["regret"]
    await home.store.delete_message(home.tenant_id, room.id, message.id, actor_id="ann", placeholder="regret")
    query = SearchQuery(tenant_id=home.tenant_id, viewer_id="ann", text="regret")
    assert (await home.store.search(query)).messages == []
    assert await said(home, "ann", "regret") == []


async def test_an_edited_message_is_found_by_what_it_says_now(home: Home) -> None:
    room = await home.room("ann")
    message = await home.say(room.id, "ann", "first draft")
    assert await said(home, "ann", "draft") == ["first draft"]
    await home.store.edit_message(home.edit(room.id, message.id, "final version", actor_id="ann"))
    query = SearchQuery(tenant_id=home.tenant_id, viewer_id="ann", text="draft")
    assert (await home.store.search(query)).messages == []
    assert await said(home, "ann", "version") == ["final version"]
    assert await said(home, "ann", "draft") == []


async def test_a_message_edited_to_nothing_readable_is_not_found_and_harms_nobody(home: Home) -> None:
    room = await home.room("ann")
    message = await home.say(room.id, "ann", "words")
    await home.say(room.id, "ann", "?!")
    await home.store.edit_message(home.edit(room.id, message.id, "!", actor_id="ann"))
    assert await said(home, "ann", "words") == []
    await home.store.edit_message(home.edit(room.id, message.id, "words again", actor_id="ann"))
    assert await said(home, "ann", "words") == ["words again"]


@pytest.mark.parametrize(
    "text",
    [
        '"',
        '" OR "',
        "*",
        "a*",
        "room:words",
        "NEAR(a b)",
        "words AND NOT",
        "(((",
        "\0",
        "'; --",
        "%",
        "17:words",
    ],
)
async def test_no_text_is_a_syntax_error_or_finds_more_than_its_words(home: Home, text: str) -> None:
    room = await home.room("ann")
    await home.say(room.id, "ann", "words")
    assert await said(home, "ann", text) == []


async def test_one_room_is_searched_by_who_is_in_it(home: Home) -> None:
    here, there = await home.room("ann", name="words"), await home.room("ann", "bob")
    await home.say(here.id, "ann", "words here")
    await home.say(there.id, "ann", "words there")
    page = await search(home, "ann", "words", room_id=here.id)
    assert [message.preview_text for message in page.messages] == ["words here"]
    assert page.rooms == []
    for room_id in (here.id, "unknown"):
        with pytest.raises(NotFound):
            await search(home, "bob", "words", room_id=room_id)


async def test_rooms_shared_with_somebody_are_searched(home: Home) -> None:
    both, own = await home.room("ann", "bob", name="both words"), await home.room("ann", name="own words")
    await home.say(both.id, "ann", "words to bob")
    await home.say(own.id, "ann", "words to nobody")
    page = await search(home, "ann", "words", participant_id="bob")
    assert [message.preview_text for message in page.messages] == ["words to bob"]
    assert [room.name for room in page.rooms] == ["both words"]


async def test_rooms_are_found_by_name_and_without_one_by_who_is_in_them(home: Home) -> None:
    team = await home.room("ann", "bob", name="The Café Team")
    direct = await home.room("ann", "bob")
    await home.room("bob", name="cafe of others")
    assert await called(home, "ann", "cafe te") == ["The Café Team"]
    assert [room.id for room in (await search(home, "ann", "bob")).rooms] == [direct.id]
    assert (await search(home, "ann", "ann")).rooms == []  # he is in all of them
    await home.store.change_room(home.tenant_id, team.id, RoomChange(name="Tea"), actor_id=None)
    assert await called(home, "ann", "cafe") == []


async def test_a_room_that_is_hidden_is_not_found(home: Home) -> None:
    room = await home.room("ann", "bob")
    await home.say(room.id, "bob", "hi")
    await home.store.delete_room_for(home.tenant_id, room.id, "ann")
    assert (await search(home, "ann", "bob")).rooms == []


async def test_rooms_come_in_pages_of_their_own_scope(home: Home) -> None:
    for number in range(7):
        home.clock.ms += 1_000
        await home.room("ann", name=f"team {number}" if number % 2 else f"other {number}")
        await home.room("ann", name=f"team {number}")
    names: list[str | None] = []
    cursor: str | None = None
    while True:
        page = await search(home, "ann", "team", scope="rooms", limit=3, cursor=cursor)
        assert page.messages == []
        names += [room.name for room in page.rooms]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(names) == 10
    assert [str(name)[-1] for name in names] == sorted([str(name)[-1] for name in names], reverse=True)


async def test_with_both_in_scope_the_first_page_has_the_rooms_and_the_cursor_goes_on_with_messages(
    home: Home,
) -> None:
    room = await home.room("ann", name="words")
    for number in range(3):
        await home.say(room.id, "ann", f"words {number}")
    first = await search(home, "ann", "words", limit=2)
    assert ([one.name for one in first.rooms], len(first.messages)) == (["words"], 2)
    second = await search(home, "ann", "words", limit=2, cursor=first.next_cursor)
    assert ([one.name for one in second.rooms], len(second.messages), second.next_cursor) == ([], 1, None)
    assert (await search(home, "ann", "words", scope="messages")).rooms == []


async def test_a_cursor_of_another_list_is_refused(home: Home) -> None:
    room = await home.room("ann", name="words")
    await home.say(room.id, "ann", "words")
    await home.say(room.id, "ann", "words")
    history = await home.store.messages_page(home.tenant_id, room.id, viewer_id="ann", limit=1)
    found = await search(home, "ann", "words", limit=1)
    for scope, cursor in (("all", history.next_cursor), ("rooms", found.next_cursor), ("messages", "x")):
        with pytest.raises(InvalidRequest):
            await search(home, "ann", "words", scope=scope, cursor=cursor)


async def test_more_messages_than_a_batch_are_all_indexed(home: Home) -> None:
    room = await home.room("ann")
    async with trio.open_nursery() as nursery:
        for number in range(150):
            nursery.start_soon(home.say, room.id, "ann", f"note {number}")
    assert len(await said(home, "ann", "note", limit=100)) == 100
    assert await said(home, "ann", "149") == ["note 149"]


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_found_is_what_reading_everything_would_find(home: Home, seed: int) -> None:
    """Sends, edits and deletions in any order, with the index somewhere behind them."""
    chance = Random(seed)
    room = await home.room("ann")
    kept: dict[str, list[str]] = {}
    for _ in range(60):
        words = chance.choices(["red", "green", "blue", "redder", "bluegreen"], k=chance.randint(1, 3))
        one = chance.choice(list(kept)) if kept else None
        match chance.choice(["send", "send", "edit", "delete", "index", "search"]):
            case "edit" if one and kept[one]:
                await home.store.edit_message(home.edit(room.id, one, " ".join(words)))
                kept[one] = words
            case "delete" if one:
                await home.store.delete_message(
                    home.tenant_id, room.id, one, actor_id=None, placeholder=" ".join(words)
                )
                kept[one] = []
            case "index":
                await home.store.index_messages()
            case "search":
                wanted = words[:2]
                found = (await search(home, "ann", " ".join(wanted), limit=100)).messages
                assert [message.id for message in found] == [
                    one
                    for one in reversed(kept)
                    if all(any(word.startswith(want) for word in kept[one]) for want in wanted)
                ]
            case _:
                kept[(await home.say(room.id, "ann", " ".join(words))).id] = words


@pytest.mark.parametrize("seed", range(4))
async def test_pages_over_many_rooms_are_what_sorting_all_of_their_messages_gives(
    home: Home, seed: int
) -> None:
    """Rooms of every liveliness, some silent for long; times that are the same in several; deletions."""
    chance = Random(seed)
    rooms = [(await home.room("ann")).id for _ in range(6)]
    for _ in range(80):
        home.clock.ms += chance.choice([0, 0, 1, 5])
        room_id = rooms[min(chance.randrange(6), chance.randrange(6))]
        text = chance.choice(["red", "red", "redder blue", "blue"])
        message = await home.say(room_id, "ann", text)
        if chance.random() < 0.1:
            await home.store.delete_message(
                home.tenant_id, room_id, message.id, actor_id=None, placeholder=None
            )
    await home.store.clear_history(home.tenant_id, rooms[0], "ann")
    await home.say(rooms[0], "ann", "red")
    everything = [
        message
        for room_id in rooms
        for message in (
            await home.store.messages_page(home.tenant_id, room_id, viewer_id="ann", limit=100)
        ).messages
        if "red" in str(message.preview_text)
    ]
    everything.sort(key=lambda message: (message.created_at, message.id), reverse=True)
    for limit in (1, 3, 7, 100):
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = await search(home, "ann", "red", scope="messages", limit=limit, cursor=cursor)
            found += [message.id for message in page.messages]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert found == [message.id for message in everything]


async def test_what_was_sent_before_a_restart_is_found_after_it(
    open_any: OpenStore, tmp_path: Path, clock: Clock
) -> None:
    folder = tmp_path / "again"
    folder.mkdir()
    async with open_any(folder, clock) as store:
        home = Home(store, clock, (await store.create_tenant("Home")).id)
        room = await home.room("ann")
        await home.say(room.id, "ann", "indexed words")
        assert await said(home, "ann", "words") == ["indexed words"]
        await home.say(room.id, "ann", "waiting words")
    async with open_any(folder, clock) as store:
        assert await said(Home(store, clock, home.tenant_id), "ann", "words") == [
            "waiting words",
            "indexed words",
        ]
