from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest

from gateway.errors import InvalidRequest
from gateway.store import rooms
from gateway.store.engine import open_store

from .conftest import SETTINGS, Clock, Home


class Asked:
    """A cursor that notes the statements it was given."""

    def __init__(self, cursor: apsw.Cursor) -> None:
        self.connection = cursor.connection
        self.statements: list[str] = []
        self._cursor = cursor

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> apsw.Cursor:
        self.statements.append(sql)
        return self._cursor.execute(sql, values)

    def executemany(self, sql: str, values: Iterable[Sequence[Any]], /) -> apsw.Cursor:
        raise AssertionError("a list writes nothing")


async def names(home: Home, **query: object) -> list[str | None]:
    page = await home.store.rooms_page(home.tenant_id, **{"viewer_id": None, **query})  # type: ignore[arg-type]
    return [room.name for room in page.rooms]


async def test_the_room_last_written_to_comes_first(home: Home) -> None:
    ids = {}
    for name in ("one", "two", "three"):
        ids[name] = (await home.room("ann", "bob", name=name)).id
        home.clock.ms += 1_000
    await home.say(ids["one"], "bob")

    assert await names(home, viewer_id="ann") == ["one", "three", "two"]


async def test_an_entry_shows_the_last_message_and_what_is_unread(home: Home) -> None:
    room = await home.room("ann", "bob", name="Plans")
    await home.say(room.id, "bob", "first")
    last = await home.say(room.id, "bob", "second")

    (entry,) = await home.rooms("ann")

    assert entry.last_message is not None
    assert (entry.last_message.preview_text, entry.last_message.created_at) == ("second", last.created_at)
    assert entry.unread_count == 2
    assert (await home.rooms("bob"))[0].unread_count == 0


async def test_a_user_sees_his_rooms_and_the_backend_all_of_its_own(home: Home) -> None:
    other = await home.store.create_tenant("Other")
    await home.room("ann", name="hers")
    await home.room("bob", name="his")

    assert await names(home, viewer_id="ann") == ["hers"]
    assert set(await names(home)) == {"hers", "his"}
    assert (await home.store.rooms_page(other.id, viewer_id=None)).rooms == []


async def test_the_backend_may_ask_for_one_users_rooms_with_his_counts(home: Home) -> None:
    room = await home.room("ann", "bob", name="both")
    await home.room("bob", name="his")
    await home.say(room.id, "bob")

    page = await home.store.rooms_page(home.tenant_id, viewer_id=None, participant_id="ann")

    assert [(room.name, room.unread_count) for room in page.rooms] == [("both", 1)]


async def test_a_viewer_may_narrow_his_list_to_rooms_shared_with_another(home: Home) -> None:
    await home.room("ann", "bob", name="both")
    await home.room("ann", name="hers")

    assert await names(home, viewer_id="ann", participant_id="bob") == ["both"]


async def test_filters_match_exactly_and_combine(home: Home) -> None:
    await home.room("ann", name="a", external_id="x-1", custom_type="dm")
    await home.room("ann", name="b", external_id="x-12", custom_type="group")
    await home.room("ann", name="c", custom_type="other")

    for viewer_id in ("ann", None):
        assert await names(home, viewer_id=viewer_id, external_id="x-1") == ["a"]
        assert set(await names(home, viewer_id=viewer_id, custom_types=["dm", "group"])) == {"a", "b"}
        assert await names(home, viewer_id=viewer_id, external_id="x-1", custom_types=["group"]) == []


@pytest.mark.parametrize("viewer_id", ["ann", None])
async def test_pages_follow_each_other_without_gap_or_repeat_though_times_are_equal(
    home: Home, viewer_id: str | None
) -> None:
    made = {(await home.room("ann", name=str(number))).id for number in range(7)}

    seen: list[str] = []
    cursor = None
    while True:
        page = await home.store.rooms_page(home.tenant_id, viewer_id=viewer_id, limit=3, cursor=cursor)
        seen += [room.id for room in page.rooms]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert len(seen) == len(made)
    assert set(seen) == made


async def test_a_full_last_page_has_no_next(home: Home) -> None:
    for _ in range(3):
        await home.room("ann")

    assert (await home.store.rooms_page(home.tenant_id, viewer_id="ann", limit=3)).next_cursor is None


async def test_a_cursor_of_somebody_elses_making_is_refused(home: Home) -> None:
    room = await home.room("ann")
    for _ in range(2):
        await home.say(room.id, "ann")
    page = await home.store.messages_page(home.tenant_id, room.id, viewer_id="ann", limit=1)

    for cursor in ("", "!", "cjE", "äöü", page.next_cursor):
        with pytest.raises(InvalidRequest):
            await home.store.rooms_page(home.tenant_id, viewer_id="ann", cursor=cursor)


async def test_it_is_one_query_however_many_rooms_and_messages_there_are(
    tmp_path: Path, clock: Clock
) -> None:
    file = tmp_path / "gateway.db"
    async with open_store(file, settings=SETTINGS, clock=clock) as store:
        home = Home(store, clock, (await store.create_tenant("Home")).id)
        for number in range(5):
            room = await home.room("ann", "bob", name=str(number))
            await home.say(room.id, "bob")
        asked = Asked(apsw.Connection(str(file)).cursor())

        page = rooms.page(
            asked,
            home.tenant_id,
            viewer_id="ann",
            participant_id=None,
            external_id=None,
            custom_types=(),
            limit=50,
            cursor=None,
        )

        assert [(room.unread_count, room.last_message is not None) for room in page.rooms] == [(1, True)] * 5
        assert len(asked.statements) == 1
        asked.connection.close()
