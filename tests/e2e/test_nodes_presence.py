"""Two gateways on one Redis: who is there, who types, who is signed out, who is put out of a room: it is one on both."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.devices import Device
from tests.support.platform import Platform
from tests.support.process import Gateway
from tests.support.redis_server import RedisServer, running
from tests.support.sio import PythonClients
from tests.support.stopwatch import Stopwatch

GRACE_S, LEASE_S = 1.0, 1.5
SECOND = 1.0


class Nodes:
    """Two gateways, and the tenant's backend as it talks to each."""

    def __init__(self, gateways: list[Gateway], platforms: list[Platform]) -> None:
        self.gateways = gateways
        self.north, self.south = platforms


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    redis = RedisServer(tmp_path)
    settings = {
        "bus": "redis",
        "redis": {"url": redis.url},
        "presence": {"grace_s": GRACE_S, "lease_s": LEASE_S},
    }
    gateways = [Gateway(tmp_path / "data", settings=settings) for _ in range(2)]
    with running(redis):
        try:
            key = gateways[0].start().wait_for_line(r"API key\s+(\S+)")[1]
            gateways[1].start()
            platforms = [Platform(gateway.url, key) for gateway in gateways]
            yield Nodes(gateways, platforms)
            for platform in platforms:
                platform.close()
        finally:
            for gateway in gateways:
                gateway.kill()


def test_presence_and_typing_are_one_and_survive_a_node(nodes: Nodes, python_clients: PythonClients) -> None:
    north, south = nodes.north, nodes.south
    ann, bob = north.person("ann"), north.person("bob")
    room_id = north.room(ann, bob).id
    of_ann: Device = python_clients.connect(north.url, auth=ann.auth)
    of_bob: Device = python_clients.connect(south.url, auth=bob.auth)
    of_ann.inbox.take("tenant-presence", userId=bob.id, online=True)
    online = of_bob.inbox.take("tenant-presence-snapshot")["onlineUserIds"]
    if ann.id not in online:  # she came just before, and word of it was under way
        of_bob.inbox.take("tenant-presence", userId=ann.id, online=True)

    of_ann.emit("join-room", {"roomId": room_id})
    of_ann.inbox.take("presence-snapshot")
    of_bob.emit("join-room", {"roomId": room_id})
    of_ann.inbox.take("presence", userId=bob.id, online=True)
    of_bob.emit("typing", {"roomId": room_id, "isTyping": True})
    of_ann.inbox.take("typing", userId=bob.id, isTyping=True)
    time.sleep(0.2)  # the beat in which a node tells of it

    nodes.gateways[1].kill()
    killed = time.monotonic()
    of_ann.inbox.take("typing", userId=bob.id, isTyping=False)
    of_ann.inbox.take("presence", userId=bob.id, online=False)
    of_ann.inbox.take("tenant-presence", userId=bob.id, online=False)
    assert time.monotonic() - killed > LEASE_S  # not before it was given up
    of_ann.close()


def test_a_restart_that_clients_survive_elsewhere_shows_nobody_offline(
    nodes: Nodes, python_clients: PythonClients
) -> None:
    ann, bob = nodes.north.person("ann"), nodes.north.person("bob")
    of_ann: Device = python_clients.connect(nodes.north.url, auth=ann.auth)
    of_bob: Device = python_clients.connect(nodes.south.url, auth=bob.auth)
    of_ann.inbox.take("tenant-presence", userId=bob.id, online=True)
    nodes.gateways[1].process.signal(signal.SIGTERM)
    of_bob.inbox.take("@disconnected")
    of_bob.close()
    elsewhere: Device = python_clients.connect(nodes.north.url, auth=bob.auth)
    assert nodes.gateways[1].process.wait(within_s=20) == 0
    nodes.gateways[1].start()
    cat = nodes.north.person("cat")
    of_cat: Device = python_clients.connect(nodes.south.url, auth=cat.auth)
    online = of_cat.inbox.take("tenant-presence-snapshot")["onlineUserIds"]
    assert sorted(online) == sorted([ann.id, bob.id, cat.id])
    time.sleep(GRACE_S + 0.5)
    of_ann.inbox.take("tenant-presence", userId=cat.id, online=True)
    assert not of_ann.inbox.seen("tenant-presence", userId=bob.id, online=False)
    for device in (of_ann, elsewhere, of_cat):
        device.close()


def test_who_is_signed_out_on_one_is_out_on_both(nodes: Nodes, python_clients: PythonClients) -> None:
    bob = nodes.north.person("bob")
    there: Device = python_clients.connect(nodes.south.url, auth=bob.auth)
    there.inbox.take("tenant-presence-snapshot")
    nodes.north.rest.post(f"/users/{bob.id}/revoke-sessions", {})
    watch = Stopwatch()
    there.inbox.take("error", message="Session revoked")
    there.inbox.take("@disconnected")
    assert watch.seconds() < SECOND


def test_who_is_put_out_of_a_room_on_one_leaves_it_on_the_other(
    nodes: Nodes, python_clients: PythonClients
) -> None:
    ann, bob = nodes.north.person("ann"), nodes.north.person("bob")
    room_id = nodes.north.room(ann, bob).id
    there: Device = python_clients.connect(nodes.south.url, auth=bob.auth)
    there.emit("join-room", {"roomId": room_id})
    there.inbox.take("joined-room", roomId=room_id)
    nodes.north.rest.request("DELETE", f"/chat/rooms/{room_id}/participants/{bob.id}")
    there.inbox.take("left-room", roomId=room_id)
    there.emit("join-room", {"roomId": room_id})
    there.inbox.take("error", message="There is no such room.")
    there.close()
