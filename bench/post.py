"""Sending messages over REST: requests a second, CPU per request, latency at half load.

Fifty kept-alive connections, each a user posting to his own room of two. The gateway does everything it does: token,
membership, limits, idempotency, unread counts, durable group commit, and delivery to both users' sockets, which are
connected and read. FastAPI does the token, the membership and a durable insert with a commit per request, on its event loop
and in its thread pool; its stub keeps nothing.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import jwt

from bench import peers
from bench.contest import GATEWAY, Measured, Options, compete
from bench.gateway import message_number, platform, post_message
from bench.loop import Loop
from bench.report import Report, latency
from bench.rest import Load
from bench.server import Server
from bench.stage import started
from bench.websocket import Client, Crowd, Handshake, socketio

WAYS = {"fastapi": "loop", "fastapi-threads": "threads", "fastapi-stub": "stub"}
PEERS = tuple(WAYS)
CONNECTIONS = 50
SECRET = "a secret of the bench, long enough for HS256 to be content with it"


@dataclass(frozen=True, slots=True)
class Desk:
    """A started server that takes messages.

    Attributes:
        post: connection ``c``'s request that sends message ``n``.
        listeners: the sockets each message must reach, two a room; none at a peer.
    """

    server: Server
    post: Callable[[int, int], bytes]
    listeners: list[Handshake]


def run(options: Options) -> Report:
    report = Report(
        "post",
        "cpu_us_per_request",
        "µs server CPU per request",
        also=(
            "requests_per_s",
            *(f"half_load_{what}{share}_ms" for what in ("", "delivery_") for share in ("p50", "p99")),
        ),
    )
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
    with contextlib.ExitStack() as stack:
        desk = stack.enter_context(_desk(name, options, connections))
        loop = Loop()
        stack.callback(loop.close)
        listeners = Listeners(loop, desk)
        stack.callback(listeners.close)
        load = Load(loop, [desk.server.port], connections, listeners.next_message)
        stack.callback(load.close)
        load.saturate(options.warm_up_s)
        listeners.drain()
        before = listeners.sent
        with desk.server.metering() as spent:
            wall = load.saturate(options.seconds)
            listeners.drain()
        done = listeners.sent - before
        figures = {
            "cpu_us_per_request": spent.server_s / done * 1e6,
            "requests_per_s": done / wall,
            **latency(load.latencies),
            "driver_busy": spent.driver_busy,
        }
        rate = done / wall / 2
        listeners.time_all()
        began = load.schedule(options.seconds, rate)
        listeners.drain()
        figures |= {"half_load_rate": rate, **latency(load.latencies, "half_load_")}
        if desk.listeners:
            figures |= latency(listeners.took_s(began, rate), "half_load_delivery_")
        yield f"{connections} connections", figures


class Listeners:
    """The sockets that messages must reach, and what is on its way to them.

    Attributes:
        sent: how many messages were made.
    """

    def __init__(self, loop: Loop, desk: Desk) -> None:
        self.sent = 0
        self._loop = loop
        self._desk = desk
        self._arrived = 0
        self._first = 0
        self._times: list[tuple[int, float]] = []
        self._crowd = Crowd(loop, marker=b'42["new-message"', on_hits=self._count)
        self._crowd.open(desk.server.port, desk.listeners)

    def next_message(self, connection: int) -> bytes:
        self.sent += 1
        return self._desk.post(connection, self.sent)

    def drain(self) -> None:
        """Raises BenchError when messages are missing."""
        awaited = 2 * self.sent if self._desk.listeners else 0
        self._loop.until(lambda: self._arrived == awaited, within_s=30, what="deliveries of all messages")

    def time_all(self) -> None:
        """Note when each message arrives, from the next one on."""
        self._first = self.sent + 1
        self._crowd.on_payload = self._note

    def took_s(self, began: float, per_s: float) -> list[float]:
        """How long each delivery took since :meth:`time_all`, from when the schedule wanted its message sent."""
        return [at - began - (number - self._first) / per_s for number, at in self._times]

    def _count(self, _client: Client, hits: int) -> None:
        self._arrived += hits

    def _note(self, _client: Client, payload: bytes) -> None:
        self._times.append((message_number(payload), time.perf_counter()))

    def close(self) -> None:
        self._crowd.close()


def _desk(name: str, options: Options, connections: int) -> AbstractContextManager[Desk]:
    users = [f"user-{number:05d}" for number in range(2 * connections)]
    rosters = [users[first : first + 2] for first in range(0, len(users), 2)]
    if name == GATEWAY:
        return _gateway(options, rosters)
    return _fastapi(name, options, rosters)


@contextlib.contextmanager
def _gateway(options: Options, rosters: list[list[str]]) -> Iterator[Desk]:
    with platform(options) as backend:
        rooms = backend.create_rooms(rosters)
        senders = backend.tokens([roster[0] for roster in rosters])
        others = backend.tokens([roster[1] for roster in rosters])
        yield Desk(
            backend.server,
            lambda c, n: post_message(rooms[c], senders[c], rosters[c][0], n),
            [socketio(json.dumps({"token": token}).encode()) for token in (*senders, *others)],
        )


@contextlib.contextmanager
def _fastapi(name: str, options: Options, rosters: list[list[str]]) -> Iterator[Desk]:
    folder = Path(mkdtemp(prefix="fastapi-", dir=options.scratch))
    rooms = [str(uuid.uuid4()) for _ in rosters]
    seed = folder / "rooms.json"
    seed.write_text(json.dumps(dict(zip(rooms, rosters, strict=True))))
    tokens = [session_token(roster[0]) for roster in rosters]
    arguments = (SECRET, str(seed), str(folder / "peer.db"), WAYS[name])
    with started(peers.PEERS[name], options, *arguments) as server:
        yield Desk(server, lambda c, n: post_message(rooms[c], tokens[c], rosters[c][0], n), [])


def session_token(user_id: str) -> str:
    """A token a FastAPI peer accepts, with the claims the gateway's own tokens have."""
    now = int(time.time())
    claims = {"sub": user_id, "tid": "bench", "iat": now, "exp": now + 86_400, "jti": str(uuid.uuid4())}
    return jwt.encode(claims, SECRET, algorithm="HS256")
