"""The room list, the hottest read: GET /v1/chat/rooms?limit=50 for users with 50 rooms, last messages and unread counts.

Both sides hold 50 rooms of 10 users with 20 messages each. The peer is FastAPI with SQLAlchemy's ORM, one query per list.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import TypeAlias

from bench import peers
from bench.contest import GATEWAY, Measured, Options, compete
from bench.gateway import platform, post_message
from bench.loop import BenchError, Loop
from bench.post import SECRET, session_token
from bench.report import Report, latency
from bench.rest import Load, fetch, fetch_all, request
from bench.server import Server
from bench.stage import started

PEERS = ("fastapi-sqlalchemy",)
CONNECTIONS = 50
ROOMS = 50
USERS = [f"user-{number:05d}" for number in range(10)]

Lister: TypeAlias = tuple[Server, list[str]]
"""A started server and a session token for each user."""


def run(options: Options) -> Report:
    report = Report("rooms", "cpu_us_per_list", "µs server CPU per list", also=("lists_per_s",))
    connections = options.sessions or (5 if options.quick else CONNECTIONS,)
    compete(
        report,
        options,
        options.chosen(PEERS),
        connections,
        lambda server, count: _measure(server, count, options),
    )
    return report


def _measure(name: str, connections: int, options: Options) -> Measured:
    messages = 2 if options.quick else 20
    start = _gateway if name == GATEWAY else _peer
    with contextlib.ExitStack() as stack:
        server, tokens = stack.enter_context(start(options, messages))
        requests = [
            request("GET", "/v1/chat/rooms?limit=50", headers={"Authorization": f"Bearer {token}"})
            for token in tokens
        ]
        _check(fetch(server.port, requests[0]), name)
        loop = Loop()
        stack.callback(loop.close)
        load = Load(loop, [server.port], connections, lambda c: requests[c % len(requests)])
        stack.callback(load.close)
        load.saturate(options.warm_up_s)
        with server.metering() as spent:
            load.saturate(options.seconds)
        done = len(load.latencies)
        yield (
            f"{connections} connections",
            {
                "cpu_us_per_list": spent.server_s / done * 1e6,
                "lists_per_s": done / spent.wall_s,
                **latency(load.latencies),
                "driver_busy": spent.driver_busy,
            },
        )


def _check(page: dict[str, list[dict[str, object]]], name: str) -> None:
    """Both sides must answer with what the measurement is about: 50 rooms, all with a last message and unread."""
    rooms = page["rooms"]
    if len(rooms) != ROOMS or not all(room["lastMessage"] and room["unreadCount"] for room in rooms):
        raise BenchError(f"{name} lists {len(rooms)} rooms, or some without last message or unread count")


@contextlib.contextmanager
def _gateway(options: Options, messages: int) -> Iterator[Lister]:
    with platform(options) as backend:
        rooms = backend.create_rooms([USERS] * ROOMS)
        tokens = backend.tokens(USERS)
        posts = [
            post_message(room_id, tokens[n % len(USERS)], USERS[n % len(USERS)], n)
            for n in range(messages)
            for room_id in rooms
        ]
        fetch_all(backend.server.port, posts)
        yield backend.server, tokens


@contextlib.contextmanager
def _peer(options: Options, messages: int) -> Iterator[Lister]:
    folder = Path(mkdtemp(prefix="fastapi-", dir=options.scratch))
    seed = folder / "rooms.json"
    seed.write_text(json.dumps({str(uuid.uuid4()): USERS for _ in range(ROOMS)}))
    peer = peers.PEERS[PEERS[0]]
    with started(peer, options, SECRET, str(seed), str(folder / "peer.db"), str(messages)) as server:
        yield server, [session_token(user_id) for user_id in USERS]
