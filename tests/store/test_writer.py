"""What is particular to the writer of a file: the loop it shares, the disk, and other processes."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import pytest
import trio
import trio.testing

from gateway.errors import Unavailable
from gateway.store.connection import Cursor
from gateway.store.sqlite.writer import GROUP_S

from .notes import Bench, Outcomes, in_a_file, note


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with in_a_file(tmp_path) as bench:
        yield bench


@pytest.fixture
def outcomes(bench: Bench) -> Outcomes:
    return Outcomes(bench)


def wal_bytes(folder: Path) -> int:
    return (folder / "notes.db-wal").stat().st_size


async def test_a_group_ends_when_it_has_held_the_loop_for_long(bench: Bench, outcomes: Outcomes) -> None:
    def slow(text: str) -> Callable[[Cursor], str]:
        def job(db: Cursor) -> str:
            ends = perf_counter() + GROUP_S
            while perf_counter() < ends:
                pass
            return note(text)(db)

        return job

    await outcomes.all({str(number): slow(str(number)) for number in range(3)})

    assert len(bench.notes) == 3
    assert bench.writer.statistics()["commits"] == 3


@contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    """Let writes past ``limit`` bytes into any file fail, as they do when the disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_turns_writers_away_until_there_is_room(
    tmp_path: Path, bench: Bench, outcomes: Outcomes
) -> None:
    await bench.writer.write(note("before"))

    with file_size_limit(wal_bytes(tmp_path)):
        await outcomes.all({"a": note("a"), "b": note("b")})

    assert [type(outcome) for outcome in outcomes.results.values()] == [Unavailable] * 2
    assert (bench.notes, outcomes.announced) == (["before"], [])
    await bench.writer.write(note("after"))
    assert bench.notes == ["before", "after"]


HOLD_LOCK = """
import sys, apsw
db = apsw.Connection(sys.argv[1])
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
db.execute("COMMIT")
"""


@contextmanager
def lock_held_elsewhere(path: Path) -> Iterator[Callable[[], None]]:
    """Another process holds the write lock, until what is yielded is called."""
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdin is not None
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == "held\n"
        yield lambda: print(file=other.stdin, flush=True)
    finally:
        other.stdin.close()
        other.wait()
        other.stdout.close()


async def test_while_another_process_holds_the_lock_writes_wait_and_the_loop_goes_on(
    tmp_path: Path, bench: Bench, outcomes: Outcomes
) -> None:
    with lock_held_elsewhere(tmp_path / "notes.db") as release:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outcomes.write, "a", note("a"))
            await trio.testing.wait_all_tasks_blocked()
            assert bench.notes == []
            assert bench.writer.statistics()["writes_waiting"] == 1
            nursery.start_soon(outcomes.write, "b", note("b"))
            await trio.testing.wait_all_tasks_blocked()
            release()

    assert outcomes.results == {"a": "a", "b": "b"}
    assert bench.writer.statistics()["commits"] == 1


async def test_a_lock_that_is_held_for_too_long_turns_writers_away(tmp_path: Path) -> None:
    async with in_a_file(tmp_path, lock_wait_ms=1) as bench:
        with lock_held_elsewhere(tmp_path / "notes.db") as release:
            with pytest.raises(Unavailable):
                await bench.writer.write(note("a"))
            release()

        assert await bench.writer.write(note("b")) == "b"
        assert bench.notes == ["b"]


def wal_begun_anew(folder: Path) -> int:
    """How often the log has started over since it was made, by its head."""
    with (folder / "notes.db-wal").open("rb") as wal:
        return int.from_bytes(wal.read(16)[12:], "big")


async def test_the_log_starts_over_though_writes_never_pause(tmp_path: Path) -> None:
    async with in_a_file(tmp_path, checkpoint_pages=64) as bench:

        async def write(writer: int) -> None:
            number = 0
            while wal_begun_anew(tmp_path) < 3:
                await bench.writer.write(note(f"{writer} {number} {'x' * 1_000}"))
                number += 1

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for writer in range(4):
                    nursery.start_soon(write, writer)
