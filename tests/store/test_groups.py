"""Group commit: what every writer promises, whatever it writes to."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
import trio

from gateway.errors import Conflict, GatewayError, Unavailable
from gateway.store.connection import Cursor
from gateway.store.groups import Joint, Kind, Write
from tests.support.postgresql import Server

from .conftest import on_the_loop
from .notes import Bench, OpenBench, Outcomes, in_a_file, note, on_a_server


@pytest.fixture(params=["sqlite", "postgresql"])
def open_bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenBench]:
    if request.param == "sqlite":
        yield partial(in_a_file, tmp_path)
        return
    server: Server = request.getfixturevalue("postgresql")
    with server.bare_database() as url:
        yield partial(on_a_server, url)


@pytest.fixture
async def bench(open_bench: OpenBench) -> AsyncIterator[Bench]:
    async with open_bench() as bench:
        yield bench


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
    assert sum(isinstance(one, bench.broken) for one in duplicates) == 1
    assert sorted(bench.notes) == ["a", "b"]
    assert sorted(map(str, outcomes.announced)) == ["a", "b"]
    assert bench.writer.statistics()["rollbacks"] > 0


def note_unless(text: str) -> Callable[[Cursor], str]:
    def job(db: Cursor) -> str:
        if text == "refused":
            raise Conflict("no")
        noted = note(text)(db)
        if text == "bug":
            raise ZeroDivisionError
        return noted

    return job


def note_each(sizes: list[int]) -> Callable[[Cursor, Sequence[str]], list[str | GatewayError]]:
    """Does several at once, and says how many."""

    def each(db: Cursor, texts: Sequence[str]) -> list[str | GatewayError]:
        sizes.append(len(texts))
        return [Conflict("no") if text == "refused" else note_unless(text)(db) for text in texts]

    return each


async def test_jobs_of_a_kind_are_done_at_once_and_each_is_told_its_own(
    bench: Bench, outcomes: Outcomes
) -> None:
    sizes: list[int] = []
    notes = Kind(lambda db, text: note_unless(text)(db), note_each(sizes))

    await outcomes.all({text: Joint(notes, text) for text in ("a", "refused", "b")})

    assert sizes == [3]
    assert isinstance(outcomes.results.pop("refused"), Conflict)
    assert outcomes.results == {"a": "a", "b": "b"}
    assert sorted(map(str, outcomes.announced)) == ["a", "b"] == sorted(bench.notes)
    assert bench.writer.statistics()["rollbacks"] == 0


async def test_a_bug_in_one_of_a_kind_fails_that_one_alone(bench: Bench, outcomes: Outcomes) -> None:
    notes = Kind(lambda db, text: note_unless(text)(db), note_each([]))

    await outcomes.all({text: Joint(notes, text) for text in ("a", "refused", "bug", "b")})

    assert isinstance(outcomes.results.pop("bug"), ZeroDivisionError)
    assert isinstance(outcomes.results.pop("refused"), Conflict)
    assert outcomes.results == {"a": "a", "b": "b"}
    assert sorted(map(str, outcomes.announced)) == ["a", "b"] == sorted(bench.notes)


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


async def test_a_full_queue_refuses_at_once_and_keeps_what_it_has(open_bench: OpenBench) -> None:
    async with open_bench(waiting_limit=3) as bench:
        outcomes = Outcomes(bench)

        await outcomes.all({str(number): note(str(number)) for number in range(5)})

        refused = [one for one in outcomes.results.values() if isinstance(one, Unavailable)]
        assert len(refused) == 2
        assert len(bench.notes) == 3


async def test_closing_finishes_what_is_queued_and_takes_nothing_more(open_bench: OpenBench) -> None:
    writing = trio.Event()
    tell = on_the_loop(writing.set)

    def signal_and_note(db: Cursor) -> str:
        tell()
        return note("a")(db)

    async with trio.open_nursery() as nursery:
        async with open_bench() as bench:
            outcomes = Outcomes(bench)
            for name, job in {"a": signal_and_note, "b": note("b"), "c": note("c")}.items():
                nursery.start_soon(outcomes.write, name, job)
            await writing.wait()
        with pytest.raises(Unavailable):
            await bench.writer.write(note("d"))

    async with open_bench() as again:
        assert sorted(again.notes) == ["a", "b", "c"]
    assert outcomes.results == {"a": "a", "b": "b", "c": "c"}


async def test_closing_is_not_cut_short_by_a_cancellation(open_bench: OpenBench) -> None:
    with trio.CancelScope() as scope:
        async with open_bench() as bench:
            announced: list[str] = []
            cancel = on_the_loop(scope.cancel)

            def cancel_and_note(db: Cursor) -> str:
                cancel()
                return note("a")(db)

            await bench.writer.write(cancel_and_note, announced.append)

    assert scope.cancelled_caught
    assert announced == ["a"]


async def test_nothing_is_written_before_anybody_asks(bench: Bench) -> None:
    bench.writer.write(note("never asked for"))
    await bench.writer.write(note("a"))

    assert bench.notes == ["a"]


async def test_who_leaves_word_is_told_when_all_of_the_group_is_announced(bench: Bench) -> None:
    happened: list[str] = []
    told = trio.Event()
    writes = [
        bench.writer.write(note(name), lambda text: happened.append(f"announced {text}")) for name in "ab"
    ]
    writes[0].when_done(lambda: happened.append(f"told {writes[0].result()}"))
    writes[1].when_done(told.set)
    await told.wait()

    assert happened == ["announced a", "announced b", "told a"]
    assert sorted(bench.notes) == ["a", "b"]


async def test_who_leaves_word_finds_what_went_wrong(bench: Bench) -> None:
    def refuse(_: Cursor) -> None:
        raise Conflict("no")

    told = trio.Event()
    write = bench.writer.write(refuse)
    write.when_done(told.set)
    await told.wait()

    with pytest.raises(Conflict, match="no"):
        write.result()


async def test_nobody_can_leave_word_when_too_many_wait(open_bench: OpenBench) -> None:
    async with open_bench(waiting_limit=1) as bench:
        bench.writer.write(note("a")).when_done(lambda: None)
        with pytest.raises(Unavailable):
            bench.writer.write(note("b")).when_done(lambda: pytest.fail("told"))

    async with open_bench() as again:
        assert again.notes == ["a"]


async def test_a_write_that_is_done_leaves_nothing_to_the_collector(bench: Bench) -> None:
    # It knows whom to tell, and who is told has it: a circle for each message would make the collector run.
    async def write() -> None:
        told = trio.Event()
        asked = bench.writer.write(note("a"))
        asked.when_done(lambda: told.set() if asked.result() else None)
        await told.wait()

    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        await write()
        gc.collect()
        assert not [found for found in gc.garbage if isinstance(found, Write)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
