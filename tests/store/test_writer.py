"""The group-committing writer over a table of its own."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from time import perf_counter

import apsw
import pytest
import trio
import trio.testing

from gateway.errors import Conflict, Unavailable
from gateway.store.connection import Cursor
from gateway.store.sqlite.connection import connect
from gateway.store.sqlite.writer import GROUP_S, Writer, open_writer

SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (text TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS parents (id INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS children (
    parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED
);
"""


class Bench:
    """A writer, and a reader to see what is durable."""

    def __init__(self, writer: Writer, reader: apsw.Connection, path: Path) -> None:
        self.writer = writer
        self.reader = reader
        self.path = path

    @property
    def notes(self) -> list[str]:
        found = self.reader.execute("SELECT text FROM notes ORDER BY rowid").fetchall()
        return [str(text) for (text,) in found]

    @property
    def wal_bytes(self) -> int:
        return self.path.with_name(self.path.name + "-wal").stat().st_size


def note(text: str) -> Callable[[Cursor], str]:
    def job(db: Cursor) -> str:
        db.execute("INSERT INTO notes VALUES (?)", (text,))
        return text

    return job


@asynccontextmanager
async def open_bench(
    folder: Path, *, waiting_limit: int = 1_000, checkpoint_pages: int = 4_096, lock_wait_ms: int = 60_000
) -> AsyncIterator[Bench]:
    path = folder / "notes.db"
    with closing(connect(path)) as reader, closing(connect(path, synchronous="normal")) as db:
        reader.execute(SCHEMA)
        async with open_writer(
            db,
            waiting_limit=waiting_limit,
            checkpoint_pages=checkpoint_pages,
            lock_wait_ms=lock_wait_ms,
        ) as writer:
            yield Bench(writer, reader, path)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_bench(tmp_path) as bench:
        yield bench


class Outcomes:
    """What became of writes that were asked for at once, by name."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.results: dict[str, object] = {}
        self.announced: list[object] = []

    async def write(self, name: str, job: Callable[[Cursor], object]) -> None:
        try:
            self.results[name] = await self._bench.writer.write(job, self.announced.append)
        except Exception as error:
            self.results[name] = error

    async def all(self, jobs: dict[str, Callable[[Cursor], object]]) -> None:
        async with trio.open_nursery() as nursery:
            for name, job in jobs.items():
                nursery.start_soon(self.write, name, job)


@pytest.fixture
def outcomes(bench: Bench) -> Outcomes:
    return Outcomes(bench)


async def test_a_result_comes_back_when_the_write_is_durable(bench: Bench) -> None:
    assert await bench.writer.write(note("a")) == "a"
    assert bench.notes == ["a"]


async def test_writes_that_are_asked_for_together_share_a_commit(bench: Bench, outcomes: Outcomes) -> None:
    await outcomes.all({str(number): note(str(number)) for number in range(100)})

    assert len(bench.notes) == 100
    assert bench.writer.statistics()["commits"] <= 3


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


async def test_a_refusal_reaches_its_own_writer_and_disturbs_nobody(bench: Bench, outcomes: Outcomes) -> None:
    refusal = Conflict("no")

    def refuse(_: Cursor) -> None:
        raise refusal

    await outcomes.all({"a": note("a"), "refused": refuse, "b": note("b")})

    assert outcomes.results == {"a": "a", "refused": refusal, "b": "b"}
    assert sorted(bench.notes) == ["a", "b"]
    assert bench.writer.statistics()["rollbacks"] == 0


async def test_a_refusal_that_had_already_written_leaves_nothing_behind(
    bench: Bench, outcomes: Outcomes
) -> None:
    def refuse_late(db: Cursor) -> None:
        note("half")(db)
        raise Conflict("no")

    await outcomes.all({"a": note("a"), "refused": refuse_late, "b": note("b")})

    assert isinstance(outcomes.results["refused"], Conflict)
    assert sorted(bench.notes) == ["a", "b"]
    assert sorted(map(str, outcomes.announced)) == ["a", "b"]


async def test_a_bug_in_one_job_fails_that_job_alone(bench: Bench, outcomes: Outcomes) -> None:
    def fail(db: Cursor) -> None:
        note("half")(db)
        raise ZeroDivisionError

    await outcomes.all({"a": note("a"), "bug": fail, "twice": note("a"), "b": note("b")})

    assert isinstance(outcomes.results["bug"], ZeroDivisionError)
    # Which of the two came first is for the scheduler to say; the other broke a constraint.
    duplicates = [outcomes.results["a"], outcomes.results["twice"]]
    assert sum(isinstance(one, apsw.ConstraintError) for one in duplicates) == 1
    assert sorted(bench.notes) == ["a", "b"]
    assert sorted(map(str, outcomes.announced)) == ["a", "b"]
    assert bench.writer.statistics()["rollbacks"] > 0


async def test_what_changes_nothing_costs_no_commit(bench: Bench) -> None:
    count = await bench.writer.write(lambda db: len(db.execute("SELECT * FROM notes").fetchall()))

    assert count == 0
    assert bench.writer.statistics()["commits"] == 0


async def test_when_a_commit_fails_the_whole_group_is_told_and_nothing_is_announced(
    bench: Bench, outcomes: Outcomes
) -> None:
    def orphan(db: Cursor) -> None:
        db.execute("INSERT INTO children VALUES (1)")  # the constraint is looked at by COMMIT

    await outcomes.all({"a": note("a"), "orphan": orphan, "b": note("b")})

    assert [type(outcome) for outcome in outcomes.results.values()] == [Unavailable] * 3
    assert (bench.notes, outcomes.announced) == ([], [])
    assert bench.writer.statistics()["rollbacks"] == 1
    assert await bench.writer.write(note("later")) == "later"


@contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    """Let writes past ``limit`` bytes into any file fail, as they do when the disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_turns_writers_away_until_there_is_room(bench: Bench, outcomes: Outcomes) -> None:
    await bench.writer.write(note("before"))

    with file_size_limit(bench.wal_bytes):
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
    bench: Bench, outcomes: Outcomes
) -> None:
    with lock_held_elsewhere(bench.path) as release:
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
    async with open_bench(tmp_path, lock_wait_ms=1) as bench:
        with lock_held_elsewhere(bench.path) as release:
            with pytest.raises(Unavailable):
                await bench.writer.write(note("a"))
            release()

        assert await bench.writer.write(note("b")) == "b"
        assert bench.notes == ["b"]


async def test_a_full_queue_refuses_at_once_and_keeps_what_it_has(tmp_path: Path) -> None:
    async with open_bench(tmp_path, waiting_limit=3) as bench:
        outcomes = Outcomes(bench)

        await outcomes.all({str(number): note(str(number)) for number in range(5)})

        refused = [one for one in outcomes.results.values() if isinstance(one, Unavailable)]
        assert len(refused) == 2
        assert len(bench.notes) == 3


async def test_closing_finishes_what_is_queued_and_takes_nothing_more(tmp_path: Path) -> None:
    writing = trio.Event()

    def signal_and_note(db: Cursor) -> str:
        writing.set()
        return note("a")(db)

    async with trio.open_nursery() as nursery:
        async with open_bench(tmp_path) as bench:
            outcomes = Outcomes(bench)
            for name, job in {"a": signal_and_note, "b": note("b"), "c": note("c")}.items():
                nursery.start_soon(outcomes.write, name, job)
            await writing.wait()
        with pytest.raises(Unavailable):
            await bench.writer.write(note("d"))

    durable = apsw.Connection(str(bench.path)).execute("SELECT text FROM notes").fetchall()
    assert sorted(durable) == [("a",), ("b",), ("c",)]
    assert outcomes.results == {"a": "a", "b": "b", "c": "c"}


async def test_closing_is_not_cut_short_by_a_cancellation(tmp_path: Path) -> None:
    with trio.CancelScope() as scope:
        async with open_bench(tmp_path) as bench:
            announced: list[str] = []

            def cancel_and_note(db: Cursor) -> str:
                scope.cancel()
                return note("a")(db)

            await bench.writer.write(cancel_and_note, announced.append)

    assert scope.cancelled_caught
    assert announced == ["a"]


async def test_the_log_starts_over_though_writes_never_pause(tmp_path: Path) -> None:
    async with open_bench(tmp_path, checkpoint_pages=64) as bench:

        async def write(writer: int) -> None:
            for number in range(100):
                await bench.writer.write(note(f"{writer} {number}"))

        async with trio.open_nursery() as nursery:
            for writer in range(4):
                nursery.start_soon(write, writer)

        statistics = bench.writer.statistics()
        assert statistics["checkpoints"] > 2
        # Twice the threshold, generously, where all that was written is several times as much.
        assert bench.wal_bytes < 2 * 64 * 4_096 < statistics["checkpoints"] * 64 * 4_096
