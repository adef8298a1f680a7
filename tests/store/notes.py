"""A writer over a table of its own, in either kind of database, and what becomes of what it is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Any, Protocol

import apsw
import psycopg
import trio

from gateway.store.connection import Cursor
from gateway.store.groups import GroupWriter
from gateway.store.postgresql.writer import Lane
from gateway.store.sqlite.connection import connect
from gateway.store.sqlite.copier import open_copier
from gateway.store.sqlite.writer import open_writer

SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (text TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS parents (id INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS children (
    parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED
);
"""
LANES = "CREATE TABLE IF NOT EXISTS lanes (id BIGINT PRIMARY KEY, number BIGINT, used_at BIGINT)"


class Bench:
    """A writer, and a reader to see what is durable.

    Attributes:
        broken: what the database raises when a constraint is broken.
    """

    def __init__(
        self, writer: GroupWriter, read: Callable[[str], list[Any]], broken: type[Exception]
    ) -> None:
        self.writer = writer
        self._read = read
        self.broken = broken

    @property
    def notes(self) -> list[str]:
        """In no particular order."""
        return [str(text) for (text,) in self._read("SELECT text FROM notes")]


class OpenBench(Protocol):
    def __call__(self, *, waiting_limit: int = ...) -> AbstractAsyncContextManager[Bench]: ...


@asynccontextmanager
async def in_a_file(folder: Path, *, waiting_limit: int = 1_000, **options: Any) -> AsyncIterator[Bench]:
    path = folder / "notes.db"
    with closing(connect(path)) as reader, closing(connect(path, synchronous="normal")) as db:
        reader.execute(SCHEMA)
        async with (
            open_copier(connect(path)) as copier,
            open_writer(db, copier=copier, waiting_limit=waiting_limit, **options) as writer,
        ):
            yield Bench(writer, lambda sql: reader.execute(sql).fetchall(), apsw.ConstraintError)


@asynccontextmanager
async def on_a_server(url: str, *, waiting_limit: int = 1_000) -> AsyncIterator[Bench]:
    def read(sql: str) -> list[Any]:
        with psycopg.connect(url, autocommit=True) as reader:
            return reader.execute(sql.encode()).fetchall()

    with psycopg.connect(url) as setup:
        setup.execute(SCHEMA + LANES)
    lane = Lane(url, waiting_limit=waiting_limit)
    try:
        yield Bench(lane, read, psycopg.IntegrityError)
    finally:
        await lane.close()


def note(text: str) -> Callable[[Cursor], str]:
    def job(db: Cursor) -> str:
        db.execute("INSERT INTO notes VALUES (?)", (text,))
        return text

    return job


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
