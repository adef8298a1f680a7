"""The WAL is copied beside the commits: what goes on meanwhile, what holds it back, and what a crash leaves."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw
import pytest
import trio

from gateway.store.connection import Cursor
from gateway.store.sqlite import copier as copying
from gateway.store.sqlite.connection import connect
from gateway.store.sqlite.copier import FEW_PAGES, Copier, open_copier
from gateway.store.sqlite.writer import open_writer

from .notes import note
from .test_writer import file_size_limit, wal_bytes

PAGES = 4 * FEW_PAGES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.db"


@pytest.fixture
def writes(path: Path) -> Iterator[apsw.Connection]:
    with closing(connect(path, synchronous="normal")) as db:
        db.execute("CREATE TABLE notes (text UNIQUE)")
        yield db


@pytest.fixture
async def copier(path: Path, writes: apsw.Connection) -> AsyncIterator[Copier]:
    async with open_copier(connect(path)) as copier:
        yield copier


def write_some(db: Cursor, notes: int) -> None:
    """A page each, or a little more."""
    db.executemany("INSERT INTO notes VALUES (randomblob(?))", [(3_000,)] * notes)


def write_pages(db: apsw.Connection) -> None:
    db.execute("BEGIN")
    write_some(db.cursor(), PAGES)
    db.execute("COMMIT")


async def copied(copier: Copier) -> None:
    done = trio.Event()
    copier.copy(lambda _: done.set())
    await done.wait()


def left(db: apsw.Connection) -> int:
    """How many pages of the WAL a checkpoint still copies."""
    pages, before = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
    return pages - before


async def test_what_is_committed_is_copied(writes: apsw.Connection, copier: Copier) -> None:
    write_pages(writes)
    assert left(writes) >= PAGES
    await copied(copier)
    assert left(writes) == 0


async def test_the_disk_is_asked_for_what_was_copied_each_time(path: Path, writes: apsw.Connection) -> None:
    """A checkpoint asks by itself only where nobody has committed meanwhile: here, the first of the two."""
    with closing(connect(path)) as db:
        with counted_syncs(db) as asked:
            copier = Copier(db)
            write_pages(writes)
            await copied(copier)
        copier.close()
    assert len(asked) == 1 + 2


@contextmanager
def counted_syncs(db: apsw.Connection) -> Iterator[list[int]]:
    """The flags of each xSync of the database by this connection."""
    file = ctypes.POINTER(copying._File)()
    db.file_control("main", apsw.SQLITE_FCNTL_FILE_POINTER, ctypes.addressof(file))
    own = ctypes.cast(file.contents.methods, ctypes.c_void_p).value or 0
    table = ctypes.create_string_buffer(ctypes.string_at(own, 19 * ctypes.sizeof(ctypes.c_void_p)))
    own_sync = copying._Methods.from_address(own).sync
    counting = ctypes.cast(table, ctypes.POINTER(copying._Methods))
    asked: list[int] = []

    def sync(of: int, flags: int) -> int:
        asked.append(flags)
        return int(own_sync(of, flags))

    counting.contents.sync = type(own_sync)(sync)
    file.contents.methods = counting
    yield asked
    file.contents.methods = ctypes.cast(own, ctypes.POINTER(copying._Methods))


async def test_commits_go_on_while_a_copy_is_under_way_and_the_wal_starts_over_after_it(
    tmp_path: Path, path: Path, writes: apsw.Connection
) -> None:
    copier = HeldCopier(connect(path))
    async with open_writer(writes, copier=copier, waiting_limit=10, checkpoint_pages=64) as writer:
        while not copier.under_way.is_set():
            await writer.write(lambda db: write_some(db, 64))
        for number in range(10):
            await writer.write(note(str(number)))
        assert writer.statistics()["checkpoints"] == 0

        copier.go.set()
        while not writer.statistics()["checkpoints"]:
            await writer.write(lambda db: write_some(db, 1))
        grown = wal_bytes(tmp_path)
        for _ in range(10):
            await writer.write(lambda db: write_some(db, 1))
        assert wal_bytes(tmp_path) == grown
    copier.close()


class HeldCopier(Copier):
    """One whose copies wait for ``go``."""

    def __init__(self, db: apsw.Connection) -> None:
        super().__init__(db)
        self.under_way, self.go = threading.Event(), threading.Event()

    def _copy(self) -> None:
        self.under_way.set()
        self.go.wait()
        super()._copy()


async def test_what_a_reader_holds_back_is_copied_when_he_is_gone(
    path: Path, writes: apsw.Connection, copier: Copier
) -> None:
    write_pages(writes)
    with closing(connect(path, read_only=True)) as reads:
        reads.execute("BEGIN")
        assert reads.execute("SELECT count(*) FROM notes").get == PAGES
        write_pages(writes)
        await copied(copier)
        assert left(writes) >= PAGES
    await copied(copier)
    assert left(writes) == 0


async def test_a_copy_that_a_full_disk_ends_is_made_later(
    path: Path, writes: apsw.Connection, copier: Copier
) -> None:
    write_pages(writes)
    with file_size_limit(100_000):
        await copied(copier)
        assert left(writes) >= PAGES
    write_pages(writes)
    await copied(copier)
    assert left(writes) == 0
    assert writes.pragma("integrity_check") == "ok"


async def test_the_end_waits_for_a_copy_under_way(path: Path, writes: apsw.Connection) -> None:
    write_pages(writes)
    async with open_copier(connect(path)) as copier:
        copier.copy(lambda _: None)
    assert left(writes) == 0


# Writes notes from four tasks, with a copy nearly always under way, and prints each that is announced.
WRITE = """
import pathlib, sys, trio
from tests.store.notes import in_a_file, note

async def main():
    async with in_a_file(pathlib.Path(sys.argv[1]), checkpoint_pages=16) as bench:

        async def write(writer):
            number = 0
            while True:
                text = f"{writer} {number} " + "x" * 1_000
                await bench.writer.write(note(text), lambda text: print(text[:-1_001], flush=True))
                number += 1

        async with trio.open_nursery() as nursery:
            for writer in range(4):
                nursery.start_soon(write, writer)

trio.run(main)
"""


def test_what_was_announced_is_there_after_kill_9_amid_copies(tmp_path: Path, path: Path) -> None:
    writing = subprocess.Popen([sys.executable, "-c", WRITE, tmp_path], stdout=subprocess.PIPE, text=True)
    assert writing.stdout is not None
    announced = [writing.stdout.readline().strip() for _ in range(400)]
    writing.send_signal(signal.SIGKILL)
    rest = writing.stdout.read()
    announced += rest[: rest.rfind("\n") + 1].splitlines()
    writing.stdout.close()
    writing.wait()

    with closing(connect(path)) as db:
        kept = {text.rpartition(" ")[0] for (text,) in db.execute("SELECT text FROM notes")}
        assert kept >= set(announced)
        assert db.pragma("integrity_check") == "ok"
