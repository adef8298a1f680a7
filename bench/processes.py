"""Messages a second over one, two and three processes that share a PostgreSQL and a Redis.

Fifty connections send as fast as they are answered, in turn to each process, in rooms of two whose second user is
connected to the next process; a message counts when both have it. The messages of one tenant are stored one group after the
other, whichever process they came to; those of eight tenants side by side. Nothing is pinned: processes, databases and the
driver share all cores, so on a machine with few of them the driver and the databases set the bound. The peer stores nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from bench.contest import GATEWAY, Measured, Options, compete
from bench.gateway import Platform, bare_environment, new_tenant, platform, post_message
from bench.loop import Loop
from bench.peers import PEERS as EVERY_PEER
from bench.postgresql import Server as PostgreSQL
from bench.postgresql import running_postgresql
from bench.redis import Redis, running_redis
from bench.report import Figures, Report, latency
from bench.rest import Load
from bench.server import Server
from bench.stage import started
from bench.websocket import Client, Crowd, Handshake, socketio

PEERS = ("socketio-node-redis",)
PROCESSES = (1, 2, 3)
TENANTS = (1, 8)
CONNECTIONS = 50


@dataclass(frozen=True, slots=True)
class Cluster:
    """Started servers.

    Attributes:
        pairs: how the two members of each room come in.
        post: the request that sends message ``n`` to a room.
        database_s: processor time of their database so far.
    """

    servers: list[Server]
    pairs: list[tuple[Handshake, Handshake]]
    post: Callable[[int, int], bytes]
    database_s: Callable[[], float]


def run(options: Options) -> Report:
    everywhere = options.server_cores | options.driver_cores
    os.sched_setaffinity(0, everywhere)
    options = replace(options, server_cores=everywhere, driver_cores=everywhere)
    report = Report("processes", "messages_per_s", "messages/s")
    counts = options.sessions or ((2,) if options.quick else PROCESSES)
    with running_redis(options) as redis, running_postgresql() as postgresql:
        for tenants in (1, 2) if options.quick else TENANTS:
            compete(
                report,
                options,
                options.chosen(PEERS) if tenants == 1 else [GATEWAY],
                [(count, tenants) for count in counts],
                lambda name, case: _measure(name, *case, options, redis, postgresql),
            )
    return report


def _measure(
    name: str, count: int, tenants: int, options: Options, redis: Redis, postgresql: PostgreSQL
) -> Measured:
    connections = 5 if options.quick else CONNECTIONS
    with contextlib.ExitStack() as stack:
        if name == GATEWAY:
            servers = _gateways(count, tenants, connections, options, redis, postgresql)
        else:
            servers = _peers(name, count, connections, options, redis)
        cluster = stack.enter_context(servers)
        loop = Loop()
        stack.callback(loop.close)
        crowds = Crowds(loop, cluster)
        stack.callback(crowds.close)
        ports = [server.port for server in cluster.servers]
        load = Load(loop, ports, connections, crowds.next_message)
        stack.callback(load.close)
        load.saturate(options.warm_up_s)
        crowds.drain()
        yield f"{count} processes, {tenants} tenants", _saturated(load, crowds, cluster, options)


def _saturated(load: Load, crowds: Crowds, cluster: Cluster, options: Options) -> Figures:
    before = crowds.sent
    spent, database = [server.cpu_s() for server in cluster.servers], cluster.database_s()
    driver, start = time.process_time(), time.perf_counter()
    load.saturate(options.seconds)
    crowds.drain()
    wall = time.perf_counter() - start
    messages = crowds.sent - before
    cpu = sum(server.cpu_s() - was for server, was in zip(cluster.servers, spent, strict=True))
    return {
        "messages_per_s": messages / wall,
        "cpu_us_per_message": cpu / messages * 1e6,
        "database_us_per_message": (cluster.database_s() - database) / messages * 1e6,
        **latency(load.latencies),
        "driver_busy": (time.process_time() - driver) / wall,
    }


class Crowds:
    """The members of all rooms, each on his process, and what is on its way to them."""

    def __init__(self, loop: Loop, cluster: Cluster) -> None:
        self.sent = 0
        self._arrived = 0
        self._loop = loop
        self._post = cluster.post
        self._crowds = []
        for place, server in enumerate(cluster.servers):
            crowd = Crowd(loop, marker=b'42["new-message"', on_hits=self._count)
            crowd.open(server.port, _members(cluster, place))
            self._crowds.append(crowd)

    def next_message(self, connection: int) -> bytes:
        self.sent += 1
        return self._post(connection, self.sent)

    def drain(self) -> None:
        """Raises BenchError when messages are missing."""
        self._loop.until(
            lambda: self._arrived == 2 * self.sent, within_s=30, what="messages on all processes"
        )

    def _count(self, _client: Client, hits: int) -> None:
        self._arrived += hits

    def close(self) -> None:
        for crowd in self._crowds:
            crowd.close()


def _members(cluster: Cluster, place: int) -> list[Handshake]:
    """Who is connected to one process: the first of a room where its messages are sent, the second on the next one."""
    count = len(cluster.servers)
    found = []
    for number, (first, second) in enumerate(cluster.pairs):
        found += [first] * (number % count == place) + [second] * ((number + 1) % count == place)
    return found


@contextlib.contextmanager
def _gateways(
    count: int, tenants: int, rooms: int, options: Options, redis: Redis, postgresql: PostgreSQL
) -> Iterator[Cluster]:
    with postgresql.bare_database() as url:
        settings = {"GATEWAY_BUS": "redis", "GATEWAY_REDIS_URL": redis.url, "GATEWAY_DATABASE_URL": url}
        with platform(options, nodes=count, environment=settings) as first:
            others = [new_tenant(options, {**bare_environment(), **settings}) for _ in range(1, tenants)]
            backends = [first, *(Platform(first.servers, tenant.api_key) for tenant in others)]
            pairs, posts = [], []
            for number in range(rooms):
                backend, people = backends[number % tenants], [f"user-{number}-a", f"user-{number}-b"]
                (room_id,) = backend.create_rooms([people])
                tokens = backend.tokens(people)
                first_in, second_in = [socketio(json.dumps({"token": token}).encode()) for token in tokens]
                pairs.append((first_in, second_in))
                posts.append(partial(post_message, room_id, tokens[0], people[0]))
            yield Cluster(list(first.servers), pairs, lambda room, n: posts[room](n), postgresql.cpu_s)


@contextlib.contextmanager
def _peers(name: str, count: int, rooms: int, options: Options, redis: Redis) -> Iterator[Cluster]:
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(started(EVERY_PEER[name], options, redis.url)) for _ in range(count)]
        hellos = [socketio(json.dumps({"room": f"room-{number}"}).encode()) for number in range(rooms)]
        yield Cluster(
            servers,
            [(hello, hello) for hello in hellos],
            lambda room, n: post_message(f"room-{room}", "none", "user-00000", n),
            lambda: 0.0,
        )
