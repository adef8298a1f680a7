"""A PostgreSQL that does not answer, connections that break at every point, and writers that collide."""

from __future__ import annotations

import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from zlib import crc32

import psycopg
import pytest
import trio
import trio.testing

from gateway.config import StoreSettings
from gateway.errors import InvalidRequest, Unavailable
from gateway.store.connection import Cursor, rows
from gateway.store.postgresql.database import ServerDatabase, open_server
from gateway.store.postgresql.readers import WAITING, Readers
from gateway.store.postgresql.writer import lock_of
from tests.support.cuts import Road, road_to
from tests.support.postgresql import Server

from .notes import LANES, SCHEMA, Outcomes, note, on_a_server


@pytest.fixture
def bare_url(postgresql: Server) -> Iterator[str]:
    with postgresql.bare_database() as url:
        yield url


class TestAServerThatDoesNotAnswer:
    """Somebody holds what is asked for, and does not go on."""

    async def test_a_tenant_that_another_node_holds_is_unavailable_and_the_others_are_not(
        self, bare_url: str
    ) -> None:
        async with open_notes(bare_url, answer_s=0.2) as database:
            with psycopg.connect(bare_url) as stalled:
                stalled.execute("SELECT pg_advisory_xact_lock(%s)", [lock_of("ann's")])
                with pytest.raises(Unavailable):
                    await database.write("ann's", note("a"), None)
                await database.write(other_lane("ann's"), note("b"), None)

            assert await database.write("ann's", note("c"), None) == "c"
            assert await database.read(notes, together=False) == ["a", "b", "c"]

    async def test_a_server_that_stands_still_is_unavailable_and_goes_on_where_it_was(
        self, postgresql: Server, bare_url: str
    ) -> None:
        async with open_notes(bare_url, answer_s=0.2) as database:
            await database.write("ann's", note("a"), None)
            with postgresql.standing_still():
                with pytest.raises(Unavailable):
                    await database.write("ann's", note("b"), None)
                with pytest.raises(Unavailable):
                    await database.read(notes, together=False)
                with pytest.raises(Unavailable):
                    await database.write(other_lane("ann's"), note("c"), None)

            assert await database.write("ann's", note("d"), None) == "d"
            # What was asked for meanwhile may have been written: "b" was before "d" in its lane.
            assert {"a", "b", "d"} <= {*await database.read(notes, together=False)}

    async def test_what_had_not_begun_when_its_time_was_over_is_not_done_later(
        self, postgresql: Server, bare_url: str
    ) -> None:
        async with open_notes(bare_url, answer_s=0.2) as database:
            await database.write("ann's", note("a"), None)
            with postgresql.standing_still():
                async with trio.open_nursery() as nursery:

                    async def refused(text: str) -> None:
                        with pytest.raises(Unavailable):
                            await database.write("ann's", note(text), None)

                    nursery.start_soon(refused, "begun")
                    await trio.testing.wait_all_tasks_blocked()
                    nursery.start_soon(refused, "waiting")
                assert database.statistics()["writes_waiting"] == 0

            await database.write("ann's", note("b"), None)
            assert await database.read(notes, together=False) == ["a", "b", "begun"]

    async def test_readers_are_told_and_those_that_would_wait_for_long_are_turned_away(
        self, bare_url: str
    ) -> None:
        go_on = threading.Event()
        readers = Readers(bare_url, connections=1)
        outcomes: list[str] = []

        def wait(db: Cursor) -> None:
            go_on.wait()

        async def read() -> None:
            try:
                await readers.read(wait, together=False, within_s=30)
                outcomes.append("read")
            except Unavailable:
                outcomes.append("refused")

        async with trio.open_nursery() as nursery:
            for _ in range(WAITING + 2):
                nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            assert outcomes == ["refused"] * 2
            with pytest.raises(Unavailable):
                await readers.read(wait, together=False, within_s=30)
            go_on.set()
        readers.close()

        assert outcomes == ["refused"] * 2 + ["read"] * WAITING

    async def test_a_long_read_is_ended_and_its_connection_goes_on(self, bare_url: str) -> None:
        readers = Readers(bare_url, connections=1)
        with pytest.raises(Unavailable):
            await readers.read(lambda db: rows(db, "SELECT pg_sleep(10)"), together=True, within_s=0.1)

        assert await readers.read(lambda db: rows(db, "SELECT 1"), together=False, within_s=5) == [(1,)]
        readers.close()


def notes(db: Cursor) -> list[str]:
    return [text for (text,) in rows(db, "SELECT text FROM notes ORDER BY text")]


def other_lane(tenant_id: str) -> str:
    """A tenant that another connection writes for."""
    return next(name for name in "bcdefgh" if (crc32(name.encode()) ^ crc32(tenant_id.encode())) & 1)


@asynccontextmanager
async def open_notes(url: str, **options: Any) -> AsyncIterator[ServerDatabase]:
    with psycopg.connect(url) as setup:
        setup.execute(SCHEMA + LANES)
    async with open_server(url, settings=StoreSettings(), **options) as database:
        yield database


class TestConnectionsThatBreak:
    async def test_idle_ones_are_replaced_and_nobody_notices(self, postgresql: Server, bare_url: str) -> None:
        async with open_notes(bare_url) as database:
            await database.write(None, note("a"), None)
            assert await database.read(notes, together=False) == ["a"]

            postgresql.cut(bare_url)

            assert await database.read(notes, together=False) == ["a"]
            assert await database.write(None, note("b"), None) == "b"
            assert await database.read(notes, together=True) == ["a", "b"]

    async def test_those_that_the_server_ends_with_a_warning_are_replaced_too(
        self, road: Road, road_url: str
    ) -> None:
        async with open_notes(road_url) as database:
            await database.write(None, note("a"), None)
            assert await database.read(notes, together=False) == ["a"]

            road.warn()

            assert await database.read(notes, together=False) == ["a"]
            assert await database.write(None, note("b"), None) == "b"

    async def test_one_that_breaks_in_the_midst_of_a_group_starts_it_again(
        self, postgresql: Server, bare_url: str
    ) -> None:
        cuts = [True]

        def cut_once(db: Cursor) -> str:
            note("half")(db)
            if cuts:
                cuts.pop()
                postgresql.cut(bare_url)
            return "whole"

        async with on_a_server(bare_url) as bench:
            outcomes = Outcomes(bench)
            await outcomes.all({"a": note("a"), "cut": cut_once, "b": note("b")})

            assert outcomes.results == {"a": "a", "cut": "whole", "b": "b"}
            assert sorted(bench.notes) == ["a", "b", "half"]
        assert sorted(map(str, outcomes.announced)) == ["a", "b", "whole"]

    async def test_a_commit_that_did_not_arrive_is_made_again(self, road: Road, road_url: str) -> None:
        async with on_a_server(road_url) as bench:
            outcomes = Outcomes(bench)
            road.cuts_commits = 1
            await outcomes.all({"a": note("a"), "b": note("b")})

            assert outcomes.results == {"a": "a", "b": "b"}
            assert sorted(bench.notes) == ["a", "b"]
        assert sorted(map(str, outcomes.announced)) == ["a", "b"]

    async def test_a_commit_whose_answer_was_lost_is_found_to_have_happened(
        self, road: Road, road_url: str
    ) -> None:
        async with on_a_server(road_url) as bench:
            outcomes = Outcomes(bench)
            road.loses_commits = 1
            await outcomes.all({"a": note("a"), "b": note("b")})

            # A second time, "a" and "b" would have broken a constraint.
            assert outcomes.results == {"a": "a", "b": "b"}
            assert bench.writer.statistics()["commits"] == 1
        assert sorted(map(str, outcomes.announced)) == ["a", "b"]

    async def test_a_commit_that_a_crash_undid_is_made_again_though_its_number_was_given_to_another(
        self, postgresql: Server, bare_url: str, road: Road, road_url: str
    ) -> None:
        numbers: list[int] = []

        def numbered(db: Cursor) -> str:
            ((number,),) = rows(db, "SELECT pg_current_xact_id()::text")
            numbers.append(int(number))
            return note("a")(db)

        def crash() -> None:
            postgresql.stop(signal.SIGQUIT)
            postgresql.start()
            while int(postgresql.execute("SELECT pg_current_xact_id()::text")[0][0]) < numbers[0]:
                pass  # it has not come to that number again

        async with on_a_server(road_url) as bench:
            outcomes = Outcomes(bench)
            road.cuts_commits, road.on_cut = 1, crash
            await outcomes.all({"a": numbered})

            assert postgresql.execute(f"SELECT pg_xact_status('{numbers[0]}')") == [("committed",)]
            assert outcomes.results == {"a": "a"}
            assert bench.notes == ["a"]

    async def test_a_server_that_is_away_refuses_at_once_and_is_used_again_when_it_is_back(
        self, road: Road, road_url: str
    ) -> None:
        async with open_notes(road_url) as database:
            await database.write(None, note("a"), None)
            with road.closed():
                with pytest.raises(Unavailable):
                    await database.write(None, note("b"), None)
                with pytest.raises(Unavailable):
                    await database.read(notes, together=False)

            assert await database.write(None, note("c"), None) == "c"
            assert await database.read(notes, together=False) == ["a", "c"]


@pytest.fixture
def road(postgresql: Server) -> Iterator[Road]:
    with road_to(postgresql.folder) as road:
        yield road


@pytest.fixture
def road_url(bare_url: str, postgresql: Server, road: Road) -> str:
    return bare_url.replace(str(postgresql.folder), str(road.folder))


class TestCollisions:
    async def test_of_two_that_wait_for_each_other_both_are_written(self, bare_url: str) -> None:
        meeting = threading.Barrier(2)

        def take(first: str, second: str, meets: list[bool]) -> Callable[[Cursor], str]:
            def job(db: Cursor) -> str:
                db.execute("UPDATE notes SET text = text WHERE text = ?", (first,))
                if meets:
                    meets.pop()
                    meeting.wait()
                db.execute("UPDATE notes SET text = text WHERE text = ?", (second,))
                return first

            return job

        async with on_a_server(bare_url) as one, on_a_server(bare_url) as other:
            await one.writer.write(note("a"))
            await one.writer.write(note("b"))
            here, there = Outcomes(one), Outcomes(other)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(here.write, "here", take("a", "b", [True]))
                nursery.start_soon(there.write, "there", take("b", "a", [True]))

        assert (here.results, there.results) == ({"here": "a"}, {"there": "b"})


async def test_a_value_that_cannot_be_stored_is_the_askers_fault_alone(bare_url: str) -> None:
    def large(db: Cursor) -> None:
        db.execute("INSERT INTO parents VALUES (?)", (1 << 70,))

    async with on_a_server(bare_url) as bench:
        outcomes = Outcomes(bench)
        await outcomes.all({"a": note("a"), "large": large, "b": note("b")})

        assert isinstance(outcomes.results["large"], InvalidRequest)
        assert sorted(bench.notes) == ["a", "b"]
