"""Writes to the WAL that are gathered: what others see, what a crash leaves, and a disk that is full."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from gateway.config import StoreSettings
from gateway.store.engine import open_store
from gateway.store.sqlite import gathering
from gateway.store.sqlite.connection import connect
from gateway.store.sqlite.gathering import gather_writes
from tests.support.require import missing

from .conftest import Clock, Home
from .test_writer import file_size_limit, wal_bytes

PAGES = 200  # of 4 KiB: more than is gathered at once


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.db"


@pytest.fixture
def writes(path: Path) -> Iterator[apsw.Connection]:
    """A connection whose writes are gathered, and a table ``notes``."""
    with closing(connect(path)) as db:
        if not gather_writes(db):
            missing("The C part of the store", get="Install gcc and python3-dev, and the project once more.")
        db.execute("CREATE TABLE notes (number INTEGER PRIMARY KEY, text BLOB)")
        yield db


def write_pages(db: apsw.Connection, first: int, most: int = PAGES) -> None:
    db.execute("BEGIN")
    db.executemany(
        "INSERT INTO notes VALUES (?, randomblob(3000))", [(first + number,) for number in range(most)]
    )


def numbers(db: apsw.Connection) -> list[int]:
    return [number for (number,) in db.execute("SELECT number FROM notes ORDER BY number")]


def write_calls(job: Callable[[], object]) -> int:
    """How often this process has called the kernel to write."""

    def so_far() -> int:
        return int(Path("/proc/self/io").read_text().partition("syscw: ")[2].split()[0])

    before = so_far()
    job()
    return so_far() - before


def test_a_commit_takes_few_calls(path: Path, writes: apsw.Connection) -> None:
    if not Path("/proc/self/io").exists():
        missing("/proc/self/io", get="Run this on Linux.")
    write_pages(writes, 0)
    assert write_calls(lambda: writes.execute("COMMIT")) < PAGES / 10
    with closing(connect(path)) as plain:
        write_pages(plain, PAGES)
        assert write_calls(lambda: plain.execute("COMMIT")) > PAGES


def test_what_is_committed_is_there_for_others_at_once(path: Path, writes: apsw.Connection) -> None:
    with closing(connect(path, read_only=True)) as reads:
        for first in range(0, 5 * PAGES, PAGES):
            write_pages(writes, first)
            assert numbers(reads) == list(range(first))
            writes.execute("COMMIT")
            assert numbers(reads) == list(range(first + PAGES))
        assert reads.pragma("integrity_check") == "ok"


def test_what_is_committed_is_in_the_files_whatever_becomes_of_the_process(
    path: Path, writes: apsw.Connection
) -> None:
    write_pages(writes, 0)
    writes.execute("COMMIT")
    write_pages(writes, PAGES)  # under way
    crashed = path.with_name("crashed")
    crashed.mkdir()
    for file in (path, path.with_name(path.name + "-wal")):
        shutil.copy(file, crashed)
    writes.execute("ROLLBACK")
    with closing(connect(crashed / path.name)) as left:
        assert numbers(left) == list(range(PAGES))
        assert left.pragma("integrity_check") == "ok"


def test_nothing_of_a_transaction_is_written_before_it_commits(
    tmp_path: Path, writes: apsw.Connection
) -> None:
    writes.pragma("cache_size", 10)
    before = wal_bytes(tmp_path)
    write_pages(writes, 0)
    assert writes.execute("SELECT sum(length(text)) FROM notes").fetchall() == [(3_000 * PAGES,)]
    assert write_calls(lambda: writes.execute("DELETE FROM notes WHERE number % 2")) == 0
    writes.execute("ROLLBACK")
    assert (numbers(writes), wal_bytes(tmp_path)) == ([], before)


@pytest.mark.parametrize("changed", [12, 20, 30, 50, 100])
def test_what_was_taken_back_does_not_come_over_what_another_process_has_committed(
    path: Path, writes: apsw.Connection, changed: int
) -> None:
    write_pages(writes, 0)
    writes.execute("COMMIT")
    writes.pragma("cache_size", 10)
    writes.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    writes.execute("BEGIN IMMEDIATE")
    writes.execute("UPDATE notes SET text = randomblob(3000) WHERE number < ?", (changed,))
    writes.execute("ROLLBACK")
    with closing(connect(path)) as other:
        other.execute("UPDATE notes SET text = 'kept' WHERE number BETWEEN 100 AND 159")
        writes.execute("UPDATE notes SET text = 'mine' WHERE number = 199")
    with closing(connect(path, read_only=True)) as reads:
        assert reads.execute("SELECT count(*) FROM notes WHERE text IN ('kept', 'mine')").fetchall() == [
            (61,)
        ]
        assert reads.pragma("integrity_check") == "ok"


def test_what_would_be_written_early_is_read_back(writes: apsw.Connection) -> None:
    """What gather_writes rules out, since it is not safe beside other processes, loses nothing all the same."""
    writes.pragma("cache_spill", True)
    writes.pragma("cache_size", 10)
    write_pages(writes, 0)
    assert writes.execute("SELECT sum(length(text)) FROM notes").fetchall() == [(3_000 * PAGES,)]
    writes.execute("UPDATE notes SET number = number + ?", (PAGES,))
    writes.execute("COMMIT")
    assert numbers(writes) == list(range(PAGES, 2 * PAGES))
    assert writes.pragma("integrity_check") == "ok"


def test_a_full_disk_is_met_by_the_commit_and_nothing_of_it_is_left(
    tmp_path: Path, path: Path, writes: apsw.Connection
) -> None:
    write_pages(writes, 0)
    writes.execute("COMMIT")
    for room in (0, 1_000, 300_000):
        write_pages(writes, PAGES)
        with file_size_limit(wal_bytes(tmp_path) + room), pytest.raises((apsw.FullError, apsw.IOError)):
            writes.execute("COMMIT")
        if writes.in_transaction:
            writes.execute("ROLLBACK")
        assert numbers(writes) == list(range(PAGES))
    with closing(connect(path, read_only=True)) as reads:
        write_pages(writes, PAGES)
        writes.execute("COMMIT")
        assert numbers(reads) == list(range(2 * PAGES))
        assert reads.pragma("integrity_check") == "ok"


def test_checkpoints_and_a_log_that_starts_over_find_everything(path: Path, writes: apsw.Connection) -> None:
    for first in range(0, 10 * PAGES, PAGES):
        write_pages(writes, first)
        writes.execute("COMMIT")
        writes.wal_checkpoint(
            mode=apsw.SQLITE_CHECKPOINT_TRUNCATE if first % 400 else apsw.SQLITE_CHECKPOINT_PASSIVE
        )
    writes.close()
    with closing(connect(path)) as left:
        assert numbers(left) == list(range(10 * PAGES))
        assert left.pragma("integrity_check") == "ok"


def test_memory_is_given_back_with_the_connection(path: Path, writes: apsw.Connection) -> None:
    def open_and_close(first: int) -> None:
        with closing(connect(path)) as other:
            assert gather_writes(other)
            write_pages(other, first, 30)
            other.execute("COMMIT")

    for first in range(0, 600, 30):
        open_and_close(first)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for first in range(600, 6_600, 30):
        open_and_close(first)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 200 * 120 / 4  # a quarter of what 200 of them would have left


def test_a_connection_is_gathered_once(writes: apsw.Connection) -> None:
    assert not gather_writes(writes)
    write_pages(writes, 0)
    writes.execute("COMMIT")


def never(address: int) -> None:
    pytest.fail("asked for all the same")


@pytest.mark.parametrize(
    ("native", "part_in_c"),
    [pytest.param(True, None, id="not built"), pytest.param(False, never, id="not wanted")],
)
async def test_without_the_part_in_c_the_store_works_as_well(
    path: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    native: bool,
    part_in_c: Callable[[int], None] | None,
) -> None:
    monkeypatch.setattr(gathering, "gather", part_in_c)
    async with open_store(path, settings=StoreSettings(), native=native, clock=clock) as store:
        home = Home(store, clock, (await store.create_tenant("Home")).id)
        room = await home.room("ann")
        await home.say(room.id, "ann", "words")
        assert await home.texts(room.id, "ann") == ["words"]
