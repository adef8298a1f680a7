"""How the index of words follows what is sent, in SQLite: by the order of the rows."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from gateway.store import migrate
from gateway.store.engine import open_store

from .conftest import SETTINGS, Clock, Home
from .test_search import said


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.db"


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(apsw.Connection(str(path))) as db:
        return db.execute(sql).fetchall()


async def test_a_send_writes_nothing_for_the_index(path: Path, clock: Clock) -> None:
    async with open_store(path, settings=SETTINGS, clock=clock) as store:
        home = Home(store, clock, (await store.create_tenant("Home")).id)
        room = await home.room("ann")
        await home.say(room.id, "ann", "words")
        assert ask(path, "SELECT message FROM search_mark") == [(0,)]
        assert ask(path, "SELECT * FROM search_changes") == []
        assert await said(home, "ann", "words") == ["words"]


async def test_the_index_goes_on_where_it_was_and_reads_nothing_twice(path: Path, clock: Clock) -> None:
    async with open_store(path, settings=SETTINGS, clock=clock) as store:
        home = Home(store, clock, (await store.create_tenant("Home")).id)
        room = await home.room("ann")
        for number in range(3):
            await home.say(room.id, "ann", f"words {number}")
            assert len(await said(home, "ann", "words")) == number + 1
            assert ask(path, "SELECT message FROM search_mark") == [(number + 1,)]
        assert not await store.index_messages()


async def test_rows_taken_away_by_hand_keep_no_later_message_from_being_found(
    path: Path, clock: Clock
) -> None:
    async with open_store(path, settings=SETTINGS, clock=clock) as store:
        home = Home(store, clock, (await store.create_tenant("Home")).id)
        room, other = await home.room("ann"), await home.room("ann")
        await home.say(room.id, "ann", "first words")
        await home.say(other.id, "ann", "last words")
        assert len(await said(home, "ann", "words")) == 2
        ask(path, f"DELETE FROM messages WHERE room_id = '{other.id}'")
        await home.say(room.id, "ann", "later words")  # its row has the number of the one that is gone
        assert await said(home, "ann", "words") == ["later words", "first words"]


async def test_when_all_were_taken_away_there_is_nothing_to_follow(path: Path, clock: Clock) -> None:
    async with open_store(path, settings=SETTINGS, clock=clock) as store:
        home = Home(store, clock, (await store.create_tenant("Home")).id)
        room = await home.room("ann")
        await home.say(room.id, "ann", "words")
        await store.index_messages()
        ask(path, "DELETE FROM messages")
        assert not await store.index_messages()
        assert ask(path, "SELECT message, message_id FROM search_mark") == [(0, "")]


async def test_large_messages_are_indexed_a_few_at_a_time(path: Path, clock: Clock) -> None:
    async with open_store(path, settings=SETTINGS, clock=clock) as store:
        home = Home(store, clock, (await store.create_tenant("Home")).id)
        room = await home.room("ann")
        for _ in range(3):
            await home.say(room.id, "ann", "many words " * 10_000)
        for number in range(3):
            assert await store.index_messages() is (number < 2)
            assert ask(path, "SELECT message FROM search_mark") == [(number + 1,)]


async def test_what_waited_in_a_file_of_the_version_before_is_found(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.with_name("migrations before")
    shutil.copytree(migrate.MIGRATIONS, before, ignore=shutil.ignore_patterns("r001[1-9]*", "__pycache__"))
    with monkeypatch.context() as patched:
        patched.setattr(migrate, "MIGRATIONS", before)
        async with open_store(path, settings=SETTINGS, clock=clock) as store:
            home = Home(store, clock, (await store.create_tenant("Home")).id)
            room = await home.room("ann")
            await home.say(room.id, "ann", "waiting words")
    async with open_store(path, settings=SETTINGS, clock=clock) as store:
        home = Home(store, clock, home.tenant_id)
        await home.say(room.id, "ann", "new words")
        assert await said(home, "ann", "words") == ["new words", "waiting words"]


async def test_no_batch_merges_much_of_the_index(path: Path, clock: Clock) -> None:
    async with open_store(path, settings=SETTINGS, clock=clock) as store:
        home = Home(store, clock, (await store.create_tenant("Home")).id)
        room = await home.room("ann")
        wal, octets_written = path.with_name("gateway.db-wal"), []
        for number in range(270):  # by itself, FTS5 would merge 16 of 16 into one by now
            await home.say(room.id, "ann", " ".join([f"w{number}x{word}" for word in range(400)]))
            before = wal.stat().st_size
            assert not await store.index_messages()
            octets_written.append(wal.stat().st_size - before)
    assert max(octets_written) < 12 * min(octets_written)
