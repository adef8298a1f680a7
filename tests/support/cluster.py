"""Several real gateways over one PostgreSQL and one Redis, behind HAProxy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.haproxy import balanced
from tests.support.platform import Platform
from tests.support.postgresql import Server, running_server
from tests.support.process import GATEWAY, Gateway, Program
from tests.support.redis_server import RedisServer, running


@dataclass(frozen=True)
class Cluster:
    """
    Attributes:
        url: the balancer's.
        platform: a tenant's backend, which asks the balancer.
    """

    url: str
    platform: Platform
    gateways: list[Gateway]
    redis: RedisServer
    postgresql: Server


@contextmanager
def running_cluster(
    folder: Path, *, gateways: int, program: Program = GATEWAY, first_port: int | None = None, **settings: Any
) -> Iterator[Cluster]:
    """All of it, on free ports of this machine; gone after the block, however its gateways are.

    Args:
        program: what is run as the gateway.
        first_port: of the first gateway; None is any, as of the others.
    """
    redis = RedisServer(folder)
    with ExitStack() as stack:
        stack.enter_context(running(redis))
        postgresql = stack.enter_context(running_server())
        settings |= {
            "bus": "redis",
            "redis": {"url": redis.url},
            "database_url": stack.enter_context(postgresql.bare_database()),
        }
        nodes = [
            Gateway(folder / f"node-{number}", settings=settings, program=program)
            for number in range(gateways)
        ]
        nodes[0].port = first_port or nodes[0].port
        for node in nodes:
            stack.callback(node.kill)
            node.start()
        api_key = nodes[0].process.wait_for_line(r"API key +(\S+)")[1]
        url = stack.enter_context(balanced(folder, [node.url for node in nodes]))
        platform = Platform(url, api_key)
        stack.callback(platform.close)
        yield Cluster(url, platform, nodes, redis, postgresql)
