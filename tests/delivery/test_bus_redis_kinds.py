"""The bus over every kind of Redis that can be configured: with a password, through TLS, by a sentinel, in a cluster."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trustme

from gateway.config import Redis
from gateway.delivery.bus import Envelope
from gateway.delivery.bus_redis import RedisBus
from tests.delivery.bus_contract import END, TENANT, TOPIC, Attach, BusContract
from tests.delivery.test_bus_redis import SECRET, attaching
from tests.delivery.test_bus_redis_faults import until
from tests.support.redis_server import RedisServer, cluster, running, sentinel


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    with running(server):
        yield server


async def never_attached(nursery: trio.Nursery, settings: Redis) -> None:
    bus = RedisBus(settings, secret=SECRET)
    await nursery.start(bus.run)
    assert not bus.attached


class TestSignedIn:
    async def test_with_the_password_of_its_url(self, nursery: trio.Nursery, server: RedisServer) -> None:
        server.ask("ACL", "SETUSER", "ann", "on", ">pass/word", "+@all", "&*")
        server.ask("ACL", "SETUSER", "default", "off")
        address = f"127.0.0.1:{server.port}/0"
        attach = attaching(nursery, Redis(url=f"redis://ann:pass%2Fword@{address}"))
        one, other = await attach(), await attach()
        one.bus.publish(END)
        assert await other.until(END) == [END]
        await never_attached(nursery, Redis(url=f"redis://ann:wrong@{address}"))
        await never_attached(nursery, Redis(url=f"redis://{address}"))

    async def test_installations_that_share_a_redis_do_not_hear_each_other(
        self, nursery: trio.Nursery, server: RedisServer
    ) -> None:
        mine = attaching(nursery, Redis(url=server.url))
        theirs = attaching(nursery, Redis(url=server.url, prefix="theirs"))
        one, two, other = await mine(), await mine(), await theirs()
        one.bus.publish(END)
        await two.until(END)
        last = Envelope(TENANT, (), "last", b"{}")
        sender = await theirs()
        sender.bus.publish(last)
        assert await other.until(last) == [last]
        assert other.bus.statistics()["forged"] == 0


class TestTls:
    """Through TLS that is ended before the server, as by stunnel or a cloud's proxy."""

    @pytest.fixture
    async def port(self, nursery: trio.Nursery, server: RedisServer, authority: trustme.CA) -> int:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(context)

        async def relay(outer: trio.SSLStream[trio.SocketStream]) -> None:
            inner = await trio.open_tcp_stream("127.0.0.1", server.port)

            async def copy(source: trio.abc.ReceiveStream, sink: trio.abc.SendStream) -> None:
                async for data in source:
                    await sink.send_all(data)
                relaying.cancel_scope.cancel()

            try:
                async with inner, outer, trio.open_nursery() as relaying:
                    relaying.start_soon(copy, outer, inner)
                    relaying.start_soon(copy, inner, outer)
            except* trio.BrokenResourceError:
                pass  # a client that does not trust us

        listeners = await trio.open_ssl_over_tcp_listeners(0, context, host="127.0.0.1")
        await nursery.start(trio.serve_listeners, relay, listeners)
        (listener,) = listeners
        assert isinstance(listener.transport_listener, trio.SocketListener)
        port: int = listener.transport_listener.socket.getsockname()[1]
        return port

    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    async def test_through_tls(
        self, nursery: trio.Nursery, port: int, authority: trustme.CA, tmp_path: Path
    ) -> None:
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        attach = attaching(nursery, Redis(url=f"rediss://127.0.0.1:{port}/0", ca=tmp_path / "ca.pem"))
        one, other = await attach(), await attach()
        one.bus.publish(END)
        assert await other.until(END) == [END]

    async def test_not_to_a_server_whose_certificate_is_not_trusted(
        self, nursery: trio.Nursery, port: int
    ) -> None:
        await never_attached(nursery, Redis(url=f"rediss://127.0.0.1:{port}/0"))

    async def test_not_to_a_server_of_another_name(
        self, nursery: trio.Nursery, port: int, authority: trustme.CA, tmp_path: Path
    ) -> None:
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        await never_attached(nursery, Redis(url=f"rediss://localhost:{port}/0", ca=tmp_path / "ca.pem"))


class TestSentinel:
    async def test_the_primary_that_a_sentinel_names_and_the_next_one(
        self, nursery: trio.Nursery, server: RedisServer, tmp_path: Path
    ) -> None:
        (tmp_path / "replica").mkdir()
        replica = RedisServer(tmp_path / "replica", ["--replicaof", "127.0.0.1", str(server.port)])
        with running(replica), sentinel(tmp_path, server.with_a_replica()) as watcher:
            settings = Redis(url=f"redis://127.0.0.1:{watcher.port}", mode="sentinel", primary="mymaster")
            attach = attaching(nursery, settings)
            one, other = await attach(), await attach()
            one.bus.publish(END)
            assert await other.until(END) == [END]
            server.stop()
            await until(lambda: other.follows == 2 and one.attached == 2)
            assert replica.subscribers(f"gateway:tenant:{TENANT}") == 2
            last = Envelope(TENANT, (), "last", b"{}")
            one.bus.publish(last)
            assert await other.until(last) == [END, last]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RedisServer]]:
    with cluster(tmp_path_factory.mktemp("cluster"), 3) as servers:
        yield servers


class TestCluster(BusContract):
    """The contract on a cluster of three, where channels lie on different servers."""

    @pytest.fixture
    async def attach(self, nursery: trio.Nursery, servers: list[RedisServer]) -> Attach:
        return attaching(nursery, Redis(url=f"redis://127.0.0.1:{servers[1].port}", mode="cluster"))

    async def test_each_channel_lies_on_one_server(self, attach: Attach, servers: list[RedisServer]) -> None:
        one, other = await attach(), await attach()
        before = [server.info("spublish") for server in servers]
        tenants = [f"tenant-{number}" for number in range(30)]
        for tenant in tenants:
            await other.follow(tenant)
        for tenant in tenants:
            one.bus.publish(Envelope(tenant, (), "e", b"{}"))
        for tenant in tenants:
            await other.until(Envelope(tenant, (), "e", b"{}"))
        calls = [server.info("spublish") - was for server, was in zip(servers, before, strict=True)]
        assert sum(calls) == 30
        assert all(calls)

    async def test_a_channel_that_moves_to_another_server_is_followed_there(
        self, attach: Attach, servers: list[RedisServer]
    ) -> None:
        one, other = await attach(), await attach()
        slot = servers[0].ask("CLUSTER", "KEYSLOT", f"gateway:tenant:{TENANT}")
        ids = [bytes(server.ask("CLUSTER", "MYID")).decode() for server in servers]
        (old,) = (n for n in range(3) if 16_384 * n // 3 <= slot < 16_384 * (n + 1) // 3)
        new = (old + 1) % 3
        follows = other.follows
        for number in (new, old, 3 - new - old):
            servers[number].ask("CLUSTER", "SETSLOT", str(slot), "NODE", ids[new])
        try:
            await until(lambda: other.follows == follows + 1 and one.bus.attached)
            await until(lambda: servers[new].shard_subscribers(f"gateway:tenant:{TENANT}") == 2)
            one.bus.publish(END)
            one.bus.signal(TOPIC, b"end")
            assert await other.until(END) == [END]
            await other.until_heard(b"end")
        finally:
            for number in (old, new, 3 - new - old):
                servers[number].ask("CLUSTER", "SETSLOT", str(slot), "NODE", ids[old])
