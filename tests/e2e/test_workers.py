"""Several workers on one port: real processes over one Redis and one PostgreSQL, with clients that stick to none."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.conftest import Opener, end
from tests.support.crowd import Crowd, Traffic
from tests.support.devices import POLLING, UPGRADE, WEBSOCKET, Transports
from tests.support.inbox import PATIENCE_S
from tests.support.node import NodeClients
from tests.support.platform import Platform
from tests.support.postgresql import running_server
from tests.support.process import Gateway
from tests.support.redis_server import RedisServer, running

WORKERS = 2


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Of gateways that share a Redis and a PostgreSQL."""
    redis = RedisServer(tmp_path_factory.mktemp("redis"))
    with running(redis), running_server() as server, server.database() as url:
        yield {"bus": "redis", "database_url": url, "redis": {"url": redis.url}, "drain_s": 3.0}


@pytest.fixture(scope="module")
def gateway(settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("workers") / "data", settings=settings)
    gateway.start("--workers", str(WORKERS))
    yield gateway
    end(gateway)


@pytest.fixture(scope="module")
def platform(gateway: Gateway) -> Iterator[Platform]:
    api_key = gateway.process.wait_for_line(r"API key +(\S+)")[1]
    platform = Platform(gateway.url, api_key)
    yield platform
    platform.close()


def workers(gateway: Gateway) -> list[int]:
    """The process ids of the workers that listen now, oldest first."""
    tasks = Path(f"/proc/{gateway.process.pid}/task").glob("*/children")  # children are their thread's
    return sorted(int(child) for task in tasks for child in task.read_text().split())


def until(holds: Callable[[], object], *, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.02)  # other processes give no sign


def test_it_says_how_many_listen(gateway: Gateway) -> None:
    gateway.process.wait_for_line(rf"listening on http://127\.0\.0\.1:\d+ with {WORKERS} workers")
    assert len(workers(gateway)) == WORKERS


@pytest.mark.parametrize("transports", [WEBSOCKET, POLLING, UPGRADE], ids=["websocket", "polling", "upgrade"])
def test_people_chat_whatever_worker_each_connection_and_request_comes_to(
    platform: Platform, any_device: Opener, transports: Transports
) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob)
    devices = [any_device(person, transports) for person in (ann, bob) * 4]

    sent = [ann.send(room.id, str(number)).id for number in range(20)]

    for device in devices:
        device.inbox.take("new-message", id=sent[-1])
        assert [message["id"] for message in device.inbox.seen("new-message", roomId=room.id)] == sent


def test_presence_and_typing_pass_between_workers(platform: Platform, device: Opener) -> None:
    ann = platform.person("ann")
    others = [platform.person("bob") for _ in range(8)]
    room = platform.room(ann, *others)
    watchers = [device(other) for other in others]
    for watcher in watchers:
        watcher.emit("join-room", {"roomId": room.id, "userId": "x"})
    typist = device(ann)
    typist.emit("typing", {"roomId": room.id, "userId": ann.id, "isTyping": True})

    for watcher in watchers:
        watcher.inbox.take("tenant-presence", userId=ann.id, online=True)
        watcher.inbox.take("typing", userId=ann.id, isTyping=True)


def test_a_worker_that_dies_is_started_again(gateway: Gateway, platform: Platform) -> None:
    before = workers(gateway)

    os.kill(before[-1], signal.SIGKILL)
    until(lambda: len(set(workers(gateway)) - set(before)) == 1)
    gateway.process.wait_for_line(r"a worker has ended")

    until(lambda: all(answers(gateway) for _ in range(20)))
    ann = platform.person("ann")
    assert ann.send(platform.room(ann).id, "all is well")


def answers(gateway: Gateway) -> bool:
    try:
        return httpx2.get(f"{gateway.url}/healthz", trust_env=False, timeout=PATIENCE_S).is_success
    except httpx2.TransportError:
        return False


def test_renewing_the_workers_costs_a_client_one_reconnect_and_nobody_anything_else(
    gateway: Gateway, platform: Platform, node_clients: NodeClients
) -> None:
    before = workers(gateway)
    people = [platform.person(f"p{number}") for number in range(12)]
    room = platform.room(*people)
    crowd = Crowd(node_clients, people, [WEBSOCKET, POLLING, UPGRADE])

    # One keeps his connection, and the other takes a new one for each request, which meets whoever listens.
    people[1].rest.http.headers["Connection"] = "close"
    with Traffic(people[0], room.id) as one, Traffic(people[1], room.id) as other:
        gateway.process.signal(signal.SIGHUP)
        until(lambda: not set(workers(gateway)) & set(before), within_s=60)

    assert len(workers(gateway)) == WORKERS
    last = people[0].send(room.id, "the last")
    history = [message.id for message in people[0].history(room.id)]
    assert one.failures + other.failures == []
    assert sorted(history) == sorted([*one.sent, *other.sent, last.id])
    crowd.require_all_of(history, room.id)
    crowd.require_nobody_was_offline()
    assert crowd.connections() == [2] * len(crowd.devices)
    crowd.close()


def test_workers_end_with_their_parent_however_it_ends(tmp_path: Path, settings: dict[str, Any]) -> None:
    gateway = Gateway(tmp_path / "data", settings=settings)
    gateway.start("--workers", str(WORKERS))
    children = workers(gateway)
    assert len(children) == WORKERS

    gateway.kill()

    until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


def test_several_workers_without_anything_between_them_are_refused(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "data")

    with pytest.raises(AssertionError) as refused:
        gateway.start("--workers", "2")

    assert re.search(r'gateway: --workers: .*bus = "redis" and a database_url', str(refused.value))
