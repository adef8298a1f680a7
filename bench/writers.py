"""The process that ``bench.commit`` measures: writers on a store of their own, each storing one message after the other.

Usage: ``python -m bench.writers gateway|commit-per-write|postgresql DATABASE WRITERS SECONDS``. The database is the path
of a file, or the URL of PostgreSQL. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import trio

from bench.gateway import TEXT
from bench.report import Figures, latency
from gateway.config import StoreSettings
from gateway.records import now_ms
from gateway.store import messages
from gateway.store.engine import SqlStore, open_store
from gateway.store.ports import MessageDraft, NewParticipant, RoomDraft
from gateway.store.rosters import Rosters
from gateway.store.sqlite.connection import connect

PARTS = b'[{"type":"text","text":"%s"}]' % TEXT.encode()


@asynccontextmanager
async def _filled(path: Path | str, writers: int) -> AsyncIterator[tuple[SqlStore, str, list[str]]]:
    """A store with one tenant and a room of two for each writer: the store, the tenant, the rooms."""
    async with open_store(path, settings=StoreSettings()) as store:
        tenant_id = (await store.create_tenant("bench")).id
        rooms = []
        for number in range(writers):
            people = [NewParticipant(f"writer-{number}"), NewParticipant(f"reader-{number}")]
            draft = RoomDraft(tenant_id=tenant_id, creator_id=None, participants=people)
            rooms.append((await store.create_room(draft)).room.id)
        yield store, tenant_id, rooms


def _draft(tenant_id: str, room_id: str, writer: int, number: int) -> MessageDraft:
    return MessageDraft(
        tenant_id=tenant_id,
        room_id=room_id,
        sender_id=f"writer-{writer}",
        parts=PARTS,
        preview_text=TEXT,
        client_message_id=f"00000000-0000-4000-8000-{number:012x}",
    )


async def group_commit(path: Path | str, writers: int, seconds: float) -> Figures:
    """All writers at once, through the store."""
    async with _filled(path, writers) as (store, tenant_id, rooms):
        latencies: list[float] = []

        async def write(writer: int) -> None:
            number = 0
            while (began := time.perf_counter()) < deadline:
                number += 1
                await store.send_message(_draft(tenant_id, rooms[writer], writer, number))
                latencies.append(time.perf_counter() - began)

        commits = store.statistics()["commits"]
        cpu, start = time.process_time(), time.perf_counter()
        deadline = start + seconds
        async with trio.open_nursery() as nursery:
            for writer in range(writers):
                nursery.start_soon(write, writer)
        commits = store.statistics()["commits"] - commits
        return _figures(latencies, commits, time.process_time() - cpu, time.perf_counter() - start)


async def commit_per_write(path: Path, writers: int, seconds: float) -> Figures:
    """The same statements in a plain loop that takes the writers in turn."""
    async with _filled(path, writers) as (_, tenant_id, rooms):
        pass
    with closing(connect(path)) as db:
        db.wal_autocheckpoint(4_096)
        cursor, rosters = db.cursor(), Rosters()
        latencies: list[float] = []
        cpu, start = time.process_time(), time.perf_counter()
        number = 0
        while (began := time.perf_counter()) < start + seconds:
            writer = number % writers
            number += 1
            cursor.execute("BEGIN IMMEDIATE")
            messages.send(cursor, rosters, _draft(tenant_id, rooms[writer], writer, number), now_ms())
            cursor.execute("COMMIT")
            latencies.append(time.perf_counter() - began)
        return _figures(latencies, number, time.process_time() - cpu, time.perf_counter() - start)


def _figures(latencies: list[float], commits: float, cpu_s: float, wall_s: float) -> Figures:
    writes = len(latencies)
    return {
        "cpu_us_per_write": cpu_s / writes * 1e6,
        "writes_per_s": writes / wall_s,
        "writes_per_commit": writes / commits,
        **latency(latencies),
    }


def main() -> None:
    kind, database, writers, seconds = sys.argv[1:]
    if kind == "commit-per-write":
        figures = trio.run(commit_per_write, Path(database), int(writers), float(seconds))
    else:
        where = database if kind == "postgresql" else Path(database)
        figures = trio.run(group_commit, where, int(writers), float(seconds))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
