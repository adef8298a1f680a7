"""Connections to a Redis server, to the primary that its sentinels name, or to every primary of a cluster.

``open_links`` makes one attempt. A link that breaks is not mended: whoever uses links opens them anew, and so learns who is
primary now and where the channels live.
"""

from __future__ import annotations

import ssl
from binascii import crc_hqx
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import trio
from coredis.client import Sentinel
from coredis.connection import BaseConnection, TCPLocation
from coredis.pool import ClusterConnectionPool, ConnectionPool

from gateway.config import Redis

CONNECT_S = 3.0
ANSWER_S = 3.0
"""How long Redis may take to answer before the link counts as broken. It answers in microseconds unless it is stopped."""


SLOTS = 16_384
"""Parts of a cluster's key space. A channel's is its CRC16, as long as there is no brace in its name, and there is none."""


class Link:
    """One connection, for publishing and subscribing both: RESP3 tells answers from messages.

    Args:
        sharded: the commands of a cluster, where a channel lives on one primary only.
    """

    def __init__(self, connection: BaseConnection, *, sharded: bool) -> None:
        self._connection = connection
        self._sharded = sharded
        self._unwanted: set[bytes] = set()  # channels whose end is asked for
        self._publish = b"SPUBLISH" if sharded else b"PUBLISH"
        self._subscribe = b"SSUBSCRIBE" if sharded else b"SUBSCRIBE"
        self._unsubscribe = b"SUNSUBSCRIBE" if sharded else b"UNSUBSCRIBE"

    async def publish(self, messages: Iterable[tuple[bytes, bytes]]) -> None:
        """Publish (channel, data) pairs in one write, and wait until Redis has taken all."""
        requests = [self._connection.create_request(self._publish, *message) for message in messages]
        for request in requests:
            await request

    async def subscribe(self, channels: Collection[bytes]) -> None:
        self._unwanted.difference_update(channels)
        await self._steer(self._subscribe, channels)

    async def unsubscribe(self, channels: Collection[bytes]) -> None:
        self._unwanted.update(channels)
        await self._steer(self._unsubscribe, channels)

    async def _steer(self, command: bytes, channels: Collection[bytes]) -> None:
        # In a cluster a command names channels of one slot, so of one channel; all go in one write all the same.
        for together in [(channel,) for channel in channels] if self._sharded else [tuple(channels)]:
            self._connection.send_command(command, *together)
        # Subscribing has no answer, but it may have an error, which then stands where this one's answer is expected.
        await self.ping()

    async def ping(self) -> None:
        await self._connection.create_request(b"PING")

    async def receive(self, take: Callable[[bytes, bytes | None], None]) -> None:
        """Hand over what the channels bring, until the link breaks.

        Args:
            take: gets a channel and what was published there, or None once the subscription holds.

        Raises:
            ConnectionResetError: a cluster has moved a channel elsewhere.
        """
        async with aclosing(self._connection.push_messages) as pushes:
            async for kind, channel, data in pushes:
                if kind in (b"message", b"smessage"):
                    take(channel, data)  # type: ignore[arg-type]
                elif kind in (b"subscribe", b"ssubscribe"):
                    take(channel, None)  # type: ignore[arg-type]
                elif kind == b"sunsubscribe" and channel not in self._unwanted:
                    raise ConnectionResetError("the cluster has moved a channel")


class Links:
    """The links of one attachment."""

    def __init__(self, links: dict[Any, Link], pool: ClusterConnectionPool | None) -> None:
        self._links = links
        self._pool = pool
        self._only = next(iter(links.values())) if pool is None else None

    def of(self, channel: bytes) -> Link:
        """The link that leads to a channel."""
        if self._only is not None:
            return self._only
        assert self._pool is not None
        return self._links[self._pool.cluster_layout.node_for_slot(crc_hqx(channel, 0) % SLOTS).node_id]

    def sort(self, channels: Iterable[bytes]) -> dict[Link, list[bytes]]:
        """The channels by the links that lead to them."""
        found: dict[Link, list[bytes]] = {}
        for channel in channels:
            found.setdefault(self.of(channel), []).append(channel)
        return found

    def all(self) -> list[Link]:
        return list(self._links.values())


async def publish_all(messages: dict[Link, list[tuple[bytes, bytes]]]) -> None:
    """Publish on several links at a time."""
    if len(messages) == 1:
        ((link, only),) = messages.items()
        await link.publish(only)
        return
    async with trio.open_nursery() as nursery:
        for link, some in messages.items():
            nursery.start_soon(link.publish, some)


@asynccontextmanager
async def open_links(settings: Redis) -> AsyncIterator[Links]:
    """Connect.

    Raises:
        coredis.exceptions.RedisError, OSError, TimeoutError: not now; try again later.
    """
    url = urlsplit(settings.url)
    locations = addresses(settings.url)
    options: dict[str, Any] = {
        "connect_timeout": CONNECT_S,
        "stream_timeout": ANSWER_S,
        "ssl_context": ssl.create_default_context(cafile=settings.ca) if url.scheme == "rediss" else None,
    }
    signed_in = options | {
        "username": unquote(url.username) if url.username else None,
        "password": unquote(url.password) if url.password else None,
    }
    database = int(url.path.strip("/") or 0)
    async with AsyncExitStack() as stack:
        if settings.mode == "cluster":
            cluster = await stack.enter_async_context(ClusterConnectionPool(locations, **signed_in))
            links = {
                node.node_id: Link(await stack.enter_async_context(cluster.acquire(node=node)), sharded=True)
                for node in cluster.cluster_layout.primaries
            }
            yield Links(links, cluster)
            return
        if settings.mode == "sentinel":
            sentinels = await stack.enter_async_context(
                Sentinel(
                    locations,
                    sentinel_kwargs=options | {"password": settings.sentinel_password},
                    db=database,
                    **signed_in,
                )
            )
            primary = await stack.enter_async_context(sentinels.primary_for(settings.primary))
            pool = primary.connection_pool
        else:
            pool = await stack.enter_async_context(
                ConnectionPool(location=locations[0], db=database, **signed_in)
            )
        connection = await stack.enter_async_context(pool.acquire())
        yield Links({None: Link(connection, sharded=False)}, None)


def addresses(url: str) -> list[TCPLocation]:
    """The hosts of a Redis URL, of which sentinels and clusters have several: ``redis://one:26379,two:26379``."""
    hosts = urlsplit(url).netloc.rpartition("@")[2].split(",")
    parts = [urlsplit(f"//{host}") for host in hosts]
    return [TCPLocation(part.hostname or "127.0.0.1", part.port or 6379) for part in parts]
