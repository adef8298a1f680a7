"""From one node to another: how long a message takes to a session there, and what it costs Redis.

Two servers share a Redis. A message is posted to the first; one recipient is connected there, another to the second, and
the message is done when both have it and the sender has his answer. All three processes share the one core that servers
get, so that the times are those of a busy machine; commands and bytes are Redis's own count.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.contest import GATEWAY, Measured, Options, compete
from bench.gateway import platform, post_message
from bench.loop import BenchError, Loop
from bench.peers import PEERS as EVERY_PEER
from bench.redis import Redis, running_redis
from bench.report import Figures, Report, latency
from bench.rest import Connection
from bench.server import Server
from bench.stage import started
from bench.websocket import Client, Crowd, Handshake, socketio

PEERS = ("socketio-node-redis",)
IN_FLIGHT = (1, 8)


def run(options: Options) -> Report:
    report = Report("nodes", "there_p50_ms", "ms to a session on another node")
    compete(report, options, options.chosen(PEERS), ["two nodes"], lambda name, _: _measure(name, options))
    return report


def _measure(name: str, options: Options) -> Measured:
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(running_redis(options))
        pair = stack.enter_context((_gateways if name == GATEWAY else _peers)(name, options, redis))
        loop = Loop()
        stack.callback(loop.close)
        talk = Talk(loop, pair, redis)
        stack.callback(talk.close)
        for in_flight in IN_FLIGHT:
            talk.run(in_flight, options.warm_up_s)
            yield f"{in_flight} in flight", talk.run(in_flight, options.seconds)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two started nodes.

    Attributes:
        handshakes: how the recipient on the first and the one on the second come in.
        post: the request that sends the n-th message, to the first node.
    """

    servers: list[Server]
    handshakes: list[Handshake]
    post: Callable[[int], bytes]


@contextlib.contextmanager
def _gateways(_: str, options: Options, redis: Redis) -> Iterator[Pair]:
    settings = {"GATEWAY_BUS": "redis", "GATEWAY_REDIS_URL": redis.url}
    with platform(options, nodes=2, environment=settings) as backend:
        users = ["user-00000", "user-00001"]
        (room,) = backend.create_rooms([users])
        tokens = backend.tokens(users)
        yield Pair(
            list(backend.servers),
            [socketio(json.dumps({"token": token}).encode()) for token in tokens],
            lambda n: post_message(room, tokens[0], users[0], n),
        )


@contextlib.contextmanager
def _peers(name: str, options: Options, redis: Redis) -> Iterator[Pair]:
    peer = EVERY_PEER[name]
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(started(peer, options, redis.url)) for _ in range(2)]
        handshake = socketio(json.dumps({"room": "room"}).encode())
        yield Pair(servers, [handshake] * 2, lambda n: post_message("room", "none", "user-00000", n))


class Talk:
    """A recipient on each node, and the connections that post to the first."""

    def __init__(self, loop: Loop, pair: Pair, redis: Redis) -> None:
        self._loop = loop
        self._pair = pair
        self._redis = redis
        self._began: list[float] = []
        self._took: tuple[list[float], list[float]] = ([], [])
        self._crowds = [
            Crowd(loop, marker=b'42["new-message"', on_hits=self._received(took)) for took in self._took
        ]
        for crowd, server, handshake in zip(self._crowds, pair.servers, pair.handshakes, strict=True):
            crowd.open(server.port, [handshake])
        self._free: deque[Connection] = deque(
            Connection(loop, pair.servers[0].port, self._answered) for _ in range(max(IN_FLIGHT))
        )
        self._pool = list(self._free)

    def _received(self, took: list[float]) -> Callable[[Client, int], None]:
        def received(client: Client, hits: int) -> None:
            now = time.perf_counter()
            took.extend(now - self._began[number] for number in range(client.seen - hits, client.seen))

        return received

    def _answered(self, connection: Connection, status: int, body: bytes) -> None:
        if status != 201:
            raise BenchError(f"a message was answered {status}: {body[:200]!r}")
        self._free.append(connection)

    def run(self, in_flight: int, seconds: float) -> Figures:
        """Keep ``in_flight`` messages under way for ``seconds``, then drain.

        Raises:
            BenchError: messages stopped coming.
        """
        here, there = self._took
        first, counted = len(self._began), self._redis.counts()
        cpu = [server.cpu_s() for server in self._pair.servers]
        start = time.perf_counter()
        while (now := time.perf_counter()) < start + seconds:
            while len(self._began) - min(len(here), len(there)) < in_flight and self._free:
                self._began.append(now)
                self._free.popleft().send(self._pair.post(len(self._began) - 1), began=now)
            self._loop.turn(0.05)
        self._loop.until(
            lambda: len(here) == len(there) == len(self._began) and len(self._free) == len(self._pool),
            within_s=30,
            what="all messages on both nodes",
        )
        messages = len(self._began) - first
        spent = [
            (server.cpu_s() - was) / messages * 1e6
            for server, was in zip(self._pair.servers, cpu, strict=True)
        ]
        return {
            "messages_per_s": messages / (time.perf_counter() - start),
            **latency(here[first:], "here_"),
            **latency(there[first:], "there_"),
            "cpu_us_here": spent[0],
            "cpu_us_there": spent[1],
            **{name: (count - counted[name]) / messages for name, count in self._redis.counts().items()},
        }

    def close(self) -> None:
        for connection in self._pool:
            connection.close()
        for crowd in self._crowds:
            crowd.close()
