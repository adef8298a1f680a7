"""What can happen to a bus over Redis: somebody else publishes there; the server stops, starts, hangs, forgets, cuts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import trio

from gateway.config import Redis
from gateway.delivery import bus_redis, redis_links
from gateway.delivery.bus import Envelope
from gateway.delivery.bus_redis import RedisBus
from gateway.delivery.bus_sealed import encode_item
from tests.delivery.bus_contract import END, TENANT, TOPIC, Attach, Node, envelope
from tests.delivery.test_bus_redis import SECRET, attaching
from tests.support.redis_server import RedisServer, running

CHANNEL = f"gateway:tenant:{TENANT}"
PATIENCE_S = 40.0


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server of its own for each test, which does bad things to it."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    with running(server):
        yield server


@pytest.fixture
async def attach(nursery: trio.Nursery, server: RedisServer) -> Attach:
    return attaching(nursery, Redis(url=server.url))


async def ask(server: RedisServer, *command: str | bytes) -> object:
    return await trio.to_thread.run_sync(lambda: server.ask(*command))


async def until(condition: Callable[[], bool]) -> None:
    """A real server is asked again and again; it says nothing by itself."""
    with trio.fail_after(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - nobody tells us
            await trio.sleep(0.005)


class Ear:
    """What anybody can hear who reaches the server."""

    def __init__(self, server: RedisServer, channel: str) -> None:
        from valkey import Valkey

        self._client: Any = Valkey(port=server.port)
        self._heard = self._client.pubsub()  # type: ignore[no-untyped-call]
        self._heard.subscribe(channel)
        assert self._heard.get_message(timeout=PATIENCE_S)["type"] == "subscribe"

    def next(self) -> tuple[bytes, bytes]:
        message = self._heard.get_message(timeout=PATIENCE_S)
        return message["channel"], message["data"]

    def close(self) -> None:
        self._heard.close()
        self._client.close()


class TestStrangers:
    async def test_what_a_stranger_publishes_is_ignored_and_counted(
        self, attach: Attach, server: RedisServer
    ) -> None:
        one, other = await attach(), await attach()
        for message in (b"", b"hello", b"\x01" + b"x" * 500, b"\x02" + b"x" * 500):
            await ask(server, "PUBLISH", CHANNEL, message)
            await ask(server, "PUBLISH", "gateway:signals", message)
        one.bus.publish(END)
        assert await other.until(END) == [END]
        assert other.heard == []
        statistics = other.bus.statistics()
        assert (statistics["forged"], statistics["unknown"]) == (2, 6)

    async def test_a_node_of_another_installation_is_a_stranger(
        self, nursery: trio.Nursery, attach: Attach, server: RedisServer
    ) -> None:
        stranger_bus = RedisBus(Redis(url=server.url), secret=b"another secret")
        await nursery.start(stranger_bus.run)
        one, other = await attach(), await attach()
        stranger_bus.publish(envelope("injected"))
        stranger_bus.signal(TOPIC, b"injected")
        await until(lambda: other.bus.statistics()["forged"] == 2)
        one.bus.publish(END)
        assert await other.until(END) == [END]
        assert other.heard == []

    async def test_what_is_overheard_and_published_again_is_ignored_and_counted(
        self, attach: Attach, server: RedisServer
    ) -> None:
        one, other = await attach(), await attach()
        with closing(Ear(server, CHANNEL)) as ear:
            one.bus.publish(envelope("once"))
            channel, message = await trio.to_thread.run_sync(ear.next)
        await other.until(envelope("once"))
        for _ in range(3):
            await ask(server, "PUBLISH", channel, message)
            await ask(server, "PUBLISH", "gateway:signals", message)  # and elsewhere
        one.bus.publish(END)
        assert await other.until(END) == [envelope("once"), END]
        statistics = other.bus.statistics()
        assert (statistics["replayed"], statistics["forged"]) == (3, 3)


class TestAnotherVersion:
    async def test_what_a_later_version_says_besides_is_left_alone(
        self, nursery: trio.Nursery, server: RedisServer, attach: Attach, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        later, today = await attach(), await attach()
        monkeypatch.setattr(bus_redis, "encode_item", lambda item: encode_item((*item, {"importance": 7})))
        later.bus.signal(TOPIC, b"signalled")
        later.bus.signal("a topic of tomorrow", b"signalled")
        later.bus.publish(envelope("published"))
        later.bus.publish(END)
        with trio.fail_after(PATIENCE_S):
            assert await today.until(END) == [envelope("published"), END]
            assert await today.until_heard(b"signalled") == [(later.bus.node_id, b"signalled")]
        assert today.bus.statistics()["failed"] == 0


class TestPrice:
    async def test_an_event_for_a_thousand_users_is_one_publish(
        self, attach: Attach, server: RedisServer
    ) -> None:
        one, other = await attach(), await attach()
        before = server.info("publish")
        crowd = Envelope(TENANT, tuple(f"user-{n}" for n in range(1_000)), "new-message", b"{}")
        one.bus.publish(crowd)
        await other.until(crowd)
        assert server.info("publish") - before == 1

    async def test_what_happens_while_a_batch_is_under_way_goes_as_one(
        self, attach: Attach, server: RedisServer
    ) -> None:
        one, other = await attach(), await attach()
        before = server.info("publish")
        for number in range(1_000):
            one.bus.publish(envelope(number))
        one.bus.publish(END)
        await other.until(END)
        assert server.info("publish") - before <= 3

    async def test_a_storm_of_first_users_is_a_handful_of_subscriptions(
        self, attach: Attach, server: RedisServer
    ) -> None:
        one, other = await attach(), await attach()
        before = server.info("subscribe")
        tenants = [f"tenant-{number}" for number in range(1_000)]
        async with trio.open_nursery() as nursery:
            for tenant in tenants:
                nursery.start_soon(other.follow, tenant)
        assert server.info("subscribe") - before <= 3
        for tenant in tenants:
            one.bus.publish(Envelope(tenant, (), "e", b"{}"))
        for tenant in tenants:
            await other.until(Envelope(tenant, (), "e", b"{}"))

    async def test_a_tenant_whose_users_are_elsewhere_is_not_heard_of(self, attach: Attach) -> None:
        one, other = await attach(), await attach()
        one.bus.publish(Envelope("elsewhere", ("ann",), "new-message", b"{}"))
        one.bus.publish(END)
        assert await other.until(END) == [END]
        assert other.bus.statistics()["received"] == 1

    async def test_a_tenant_that_is_left_is_not_heard_of_any_more(
        self, attach: Attach, server: RedisServer
    ) -> None:
        one, other = await attach(), await attach()
        await other.follow("second")
        other.bus.unfollow(TENANT)
        await until(lambda: server.subscribers(CHANNEL) == 1)
        one.bus.publish(envelope("unheard"))
        last = Envelope("second", (), "new-message", b"{}")
        one.bus.publish(last)
        assert await other.until(last) == [last]


class TestFaults:
    async def test_a_node_starts_without_redis_and_attaches_when_it_is_there(
        self, nursery: trio.Nursery, server: RedisServer
    ) -> None:
        server.stop()
        bus = RedisBus(Redis(url=server.url), secret=SECRET)
        node = Node(bus, trio.lowlevel.checkpoint)
        with trio.fail_after(2):
            await nursery.start(bus.run)
        assert not bus.attached
        bus.publish(envelope("to nobody"))
        bus.signal(TOPIC, b"to nobody")
        assert bus.statistics()["dropped"] == 2
        await trio.to_thread.run_sync(server.start)
        await until(lambda: bus.attached)
        assert node.attached == 1

    async def test_after_a_restart_all_are_told_to_look_and_messages_come_again(
        self, attach: Attach, server: RedisServer
    ) -> None:
        one, other = await attach(), await attach()
        server.stop()
        await until(lambda: not one.bus.attached and not other.bus.attached)
        one.bus.publish(envelope("lost"))
        follows = other.follows
        await trio.to_thread.run_sync(server.start)
        await until(lambda: one.bus.attached and other.follows == follows + 1)
        assert (one.attached, other.attached) == (2, 2)
        one.bus.publish(END)
        one.bus.signal(TOPIC, b"end")
        assert await other.until(END) == [END]
        assert await other.until_heard(b"end") == [(one.bus.node_id, b"end")]

    async def test_a_flush_is_not_noticed(self, attach: Attach, server: RedisServer) -> None:
        one, other = await attach(), await attach()
        await ask(server, "FLUSHALL")
        one.bus.publish(END)
        assert await other.until(END) == [END]
        assert other.attached == 1

    async def test_connections_that_are_cut_are_made_again(self, attach: Attach, server: RedisServer) -> None:
        one, other = await attach(), await attach()
        follows = other.follows
        await ask(server, "CLIENT", "KILL", "TYPE", "pubsub")
        await until(lambda: one.attached == 2 and other.follows == follows + 1)
        one.bus.publish(END)
        assert await other.until(END) == [END]

    async def test_a_server_that_hangs_is_given_up_and_what_waits_for_it_is_bounded(
        self, attach: Attach, server: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bus_redis, "WAITING_BYTES", 100_000)
        monkeypatch.setattr(redis_links, "ANSWER_S", 0.5)
        one, other = await attach(), await attach()
        await ask(server, "CLIENT", "PAUSE", "1500", "ALL")
        one.bus.publish(envelope("on its way"))
        await until(lambda: one.bus.statistics()["waiting"] == 0)
        for number in range(10_000):
            one.bus.publish(envelope(number))
        statistics = one.bus.statistics()
        assert statistics["dropped"] > 0
        assert 0 < statistics["waiting"] < 10_000
        await until(lambda: not one.bus.attached)
        assert one.bus.statistics()["waiting"] == 0
        await until(lambda: one.bus.attached and other.bus.attached)
        one.bus.publish(END)
        await other.until(END)

    async def test_a_handler_that_fails_loses_its_batch_and_not_the_bus(
        self, attach: Attach, capsys: pytest.CaptureFixture[str]
    ) -> None:
        one, other = await attach(), await attach()

        def broken(node_id: str, body: bytes) -> None:
            raise ValueError(body)

        other.bus.listen("broken", broken)
        one.bus.signal("broken", b"x")
        await until(lambda: other.bus.statistics()["failed"] == 1)
        one.bus.signal(TOPIC, b"end")
        assert await other.until_heard(b"end") == [(one.bus.node_id, b"end")]
        assert (other.attached, "a batch could not be delivered" in capsys.readouterr().out) == (1, True)
