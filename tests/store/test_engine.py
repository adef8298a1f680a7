"""What is particular to a store in one file: finding it again, and what goes wrong with files."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest
import trio

from gateway.config import StoreSettings
from gateway.errors import Unavailable
from gateway.store.engine import SqlStore, open_store

from .conftest import Clock, Home
from .test_writer import lock_held_elsewhere


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqlStore]:
    async with open_store(path, settings=StoreSettings(synchronous="normal")) as store:
        yield store


async def test_a_store_is_found_again_as_it_was_left(path: Path, clock: Clock) -> None:
    settings = StoreSettings(synchronous="normal")
    async with open_store(path, settings=settings, clock=clock) as store:
        home = Home(store, clock, (await store.create_tenant("Home")).id)
        room = await home.room("ann", "bob")
        await home.say(room.id, "ann")
        before = (await store.tenants(), await home.listed(room.id, "bob"))

    async with open_store(path, settings=settings, clock=clock) as store:
        home = Home(store, clock, home.tenant_id)
        after = (await store.tenants(), await home.listed(room.id, "bob"))

    assert str(after) == str(before)  # raw JSON compares by identity
    assert [name for name in os.listdir(path.parent) if name != path.name] == []


async def test_a_file_that_cannot_be_read_is_said_to_be_unavailable(path: Path, store: SqlStore) -> None:
    await store.create_tenant("Home")
    os.truncate(path.with_name(path.name + "-wal"), 0)

    with pytest.raises(Unavailable):
        await store.tenants()


async def test_while_another_process_holds_the_lock_reads_are_served(
    path: Path, store: SqlStore, autojump_clock: trio.abc.Clock
) -> None:
    assert await store.is_writable()
    with lock_held_elsewhere(path) as release:
        assert await store.tenants() == []
        assert not await store.is_writable()
        release()
        assert (await store.create_tenant("Home")).id


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not list open files")
async def test_a_store_that_cannot_be_opened_leaves_no_file_open(letter: Path) -> None:
    with pytest.raises(apsw.NotADBError):
        async with open_store(letter, settings=StoreSettings()):
            pass

    opened = [os.readlink(entry.path) for entry in os.scandir("/proc/self/fd") if entry.is_symlink()]
    assert [file for file in opened if file.startswith(str(letter.parent))] == []


@pytest.fixture
def letter(path: Path) -> Path:
    path.write_text("a letter to my mother" * 100)
    return path
