"""Reads beside the loop end in time, and few run at once."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest
import trio

from gateway.errors import Unavailable
from gateway.store.connection import Cursor, rows
from gateway.store.sqlite.aside import CONNECTIONS, WAITING, open_aside
from gateway.store.sqlite.connection import connect

LONG_S = 30.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.db"
    connect(path).execute("CREATE TABLE numbers (number INTEGER)")
    return path


def count_for_ever(db: Cursor) -> object:
    return rows(db, "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT count(*) FROM n")


def ask_for_ever(db: Cursor) -> None:
    while True:
        rows(db, "SELECT 1")


@pytest.mark.parametrize("query", [count_for_ever, ask_for_ever])
async def test_a_read_that_takes_too_long_is_ended_and_its_connection_serves_the_next(
    path: Path, query: object
) -> None:
    async with open_aside(path) as aside:
        for _ in range(CONNECTIONS + 1):
            with pytest.raises(Unavailable):
                await aside.read(query, within_s=0.01)  # type: ignore[arg-type]
        assert await aside.read(lambda db: rows(db, "SELECT 1"), within_s=LONG_S) == [(1,)]


async def test_all_statements_see_one_state(path: Path) -> None:
    writes = connect(path)

    def query(db: Cursor) -> int:
        before = len(rows(db, "SELECT * FROM numbers"))
        writes.execute("INSERT INTO numbers VALUES (1)")
        return len(rows(db, "SELECT * FROM numbers")) - before

    async with open_aside(path) as aside:
        assert await aside.read(query, within_s=LONG_S) == 0
        assert await aside.read(lambda db: len(rows(db, "SELECT * FROM numbers")), within_s=LONG_S) == 1


async def test_the_loop_goes_on_meanwhile_and_callers_beyond_the_bound_are_refused(path: Path) -> None:
    ready = Event()
    async with open_aside(path) as aside, trio.open_nursery() as nursery:
        for _ in range(CONNECTIONS + WAITING):
            nursery.start_soon(lambda: aside.read(lambda db: ready.wait(), within_s=LONG_S))
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(Unavailable):
            await aside.read(lambda db: None, within_s=LONG_S)
        ready.set()


async def test_what_a_query_raises_is_its_own_affair(path: Path) -> None:
    async with open_aside(path) as aside:
        for _ in range(CONNECTIONS + 1):
            with pytest.raises(ValueError, match="invalid literal"):
                await aside.read(lambda db: int("x"), within_s=LONG_S)
