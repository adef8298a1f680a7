"""Two gateways that share a database and a Redis: what happens on one is heard on the other, whatever Redis does."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.devices import Device
from tests.support.platform import Person, Platform
from tests.support.postgresql import running_server
from tests.support.process import Gateway
from tests.support.redis_server import RedisServer, running
from tests.support.sio import PythonClients
from tests.support.stopwatch import Stopwatch

BACK_S = 3.0
"""How long events of another node may take while Redis is not there, and after it has come back."""

PROMPT_S = 1.0
STANDSTILL_S = 6.0
"""More than a node waits before it takes Redis for gone."""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    with running(server):
        yield server


@contextmanager
def two_gateways(data: Path, redis: RedisServer, **settings: Any) -> Iterator[tuple[Platform, Platform]]:
    settings |= {"bus": "redis", "redis": {"url": redis.url, "prefix": data.parent.name}}
    gateways = [Gateway(data, settings=settings) for _ in range(2)]
    platforms: list[Platform] = []
    try:
        keys = None
        for gateway in gateways:
            process = gateway.start()
            keys = keys or process.wait_for_line(r"API key\s+(\S+)")[1]
            platforms.append(Platform(gateway.url, keys))
        yield platforms[0], platforms[1]
    finally:
        for platform in platforms:
            platform.close()
        for gateway in gateways:
            gateway.kill()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def platforms(
    request: pytest.FixtureRequest, redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Platform, Platform]]:
    data = tmp_path_factory.mktemp("nodes") / "data"
    if request.param == "sqlite":
        with two_gateways(data, redis) as platforms:
            yield platforms
    else:
        with (
            running_server() as server,
            server.database() as url,
            two_gateways(data, redis, database_url=url) as platforms,
        ):
            yield platforms


class Talk:
    """Ann on the first node and Bob on the second, each with a device there, in a room of theirs."""

    def __init__(self, clients: PythonClients, platforms: tuple[Platform, Platform]) -> None:
        one, two = platforms
        self.ann, self.bob = one.person("ann"), one.person("bob")
        self.bob_there = Person(two.url, self.bob.id, self.bob.token)
        self.room = one.room(self.ann, self.bob).id
        self.here: Device = clients.connect(one.url, auth=self.ann.auth)
        self.there: Device = clients.connect(two.url, auth=self.bob.auth)

    def close(self) -> None:
        self.here.close()
        self.there.close()
        self.bob_there.rest.close()

    def both(self, count: int) -> None:
        """Ann and Bob write at the same time, each on their own node."""

        def write(person: Person) -> None:
            for number in range(count):
                person.send(self.room, f"{person.id} {number}")

        threads = [threading.Thread(target=write, args=[person]) for person in (self.ann, self.bob_there)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def require_promptness_again(self) -> None:
        """Soon what Ann says is at the other node at once again, and not by its looking into the log."""
        watch = Stopwatch()
        while not all(self._crosses_promptly() for _ in range(5)):
            assert watch.seconds() < BACK_S

    def _crosses_promptly(self) -> bool:
        watch = Stopwatch()
        message = self.ann.send(self.room, "does it cross?")
        self.there.inbox.take("new-message", id=message.id)
        return watch.seconds() < PROMPT_S

    def require_the_whole_history_in_order(self) -> None:
        """Both devices have been told of every message, once, in the order in which the room has them."""
        last = self.ann.send(self.room, "the last")
        history = [message.id for message in self.ann.history(self.room)]
        for device in (self.here, self.there):
            device.inbox.take("new-message", id=last.id)
            assert [payload["id"] for payload in device.inbox.seen("new-message")] == history


@pytest.fixture
def talk(python_clients: PythonClients, platforms: tuple[Platform, Platform]) -> Iterator[Talk]:
    talk = Talk(python_clients, platforms)
    yield talk
    talk.close()


def test_what_is_written_on_either_node_is_told_on_both_in_one_order(talk: Talk) -> None:
    talk.both(100)
    talk.require_the_whole_history_in_order()


def test_redis_flushed_and_its_connections_cut_while_people_write(talk: Talk, redis: RedisServer) -> None:
    done = threading.Event()

    def disturb() -> None:
        while not done.wait(0.1):
            redis.ask("FLUSHALL")
            redis.ask("CLIENT", "KILL", "TYPE", "pubsub")

    disturbing = threading.Thread(target=disturb)
    disturbing.start()
    try:
        talk.both(100)
    finally:
        done.set()
        disturbing.join()
    talk.require_promptness_again()
    talk.require_the_whole_history_in_order()


def test_without_redis_events_come_late_and_with_it_at_once_again(talk: Talk, redis: RedisServer) -> None:
    redis.stop()
    try:
        talk.both(20)
        watch = Stopwatch()
        message = talk.ann.send(talk.room, "while it is away")
        talk.there.inbox.take("new-message", id=message.id)
        assert watch.seconds() < BACK_S
    finally:
        redis.start()
    talk.both(20)
    talk.require_the_whole_history_in_order()


def test_redis_that_stands_still_holds_up_nobody_on_one_node_and_others_but_shortly(
    talk: Talk, redis: RedisServer
) -> None:
    redis.signal(signal.SIGSTOP)
    try:
        stopped = time.monotonic()
        while time.monotonic() < stopped + STANDSTILL_S:
            watch = Stopwatch()
            message = talk.ann.send(talk.room, "while it stands still")
            talk.here.inbox.take("new-message", id=message.id)
            assert watch.seconds() < PROMPT_S
        watch = Stopwatch()
        talk.there.inbox.take("new-message", id=message.id)
        assert watch.seconds() < BACK_S
    finally:
        redis.signal(signal.SIGCONT)
    talk.require_promptness_again()
    talk.require_the_whole_history_in_order()


def test_redis_paused_while_people_write(talk: Talk, redis: RedisServer) -> None:
    redis.ask("CLIENT", "PAUSE", "1500", "ALL")
    talk.both(50)
    talk.require_the_whole_history_in_order()
