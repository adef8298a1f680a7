"""Three gateways behind HAProxy: clients that stick to none, one that dies, and all of them replaced while people talk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.conftest import Opener, end
from tests.support.cluster import Cluster, running_cluster
from tests.support.crowd import Crowd, Traffic
from tests.support.devices import POLLING, UPGRADE, WEBSOCKET, Transports
from tests.support.livekit_served import serve_livekit
from tests.support.node import NodeClients
from tests.support.platform import Platform, read, refusal
from tests.support.sio import PythonClients

GATEWAYS = 3
DRAIN_S = 4.0
TRANSPORTS = [
    pytest.param(WEBSOCKET, id="websocket"),
    pytest.param(POLLING, id="polling"),
    pytest.param(UPGRADE, id="upgrade"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with serve_livekit() as livekit:
        media = {"url": livekit.url, "api_key": livekit.fake.key, "api_secret": livekit.fake.secret}
        with running_cluster(folder, gateways=GATEWAYS, livekit=media, drain_s=DRAIN_S) as cluster:
            yield cluster
            with ThreadPoolExecutor() as pool:
                list(pool.map(end, cluster.gateways))


@pytest.fixture
def platform(cluster: Cluster) -> Platform:
    return cluster.platform


@pytest.mark.parametrize("transports", TRANSPORTS)
def test_people_chat_whatever_gateway_each_connection_and_request_comes_to(
    platform: Platform, any_device: Opener, transports: Transports
) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob)
    devices = [any_device(person, transports) for person in (ann, bob) * GATEWAYS]
    typist, watcher = devices[:2]
    for device in devices:
        device.emit("join-room", {"roomId": room.id})
        device.inbox.take("joined-room", roomId=room.id)

    typist.emit("typing", {"roomId": room.id, "isTyping": True})
    watcher.inbox.take("typing", userId=ann.id, isTyping=True)
    sent = [person.send(room.id, str(number)).id for number in range(10) for person in (ann, bob)]

    for device in devices:
        device.inbox.take("new-message", id=sent[-1])
        assert [message["id"] for message in device.inbox.seen("new-message", roomId=room.id)] == sent


def test_a_call_rings_on_every_device_and_one_of_them_takes_it(platform: Platform, device: Opener) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob)
    of_ann = [device(ann) for _ in range(GATEWAYS)]
    of_bob = [device(bob) for _ in range(GATEWAYS)]

    path = f"/chat/rooms/{room.id}/calls"
    call_id = read(ann.rest.post(path, {}), dict[str, Any])["call"]["id"]
    for one in of_bob:
        one.inbox.take("call-invite", callId=call_id)
    assert bob.rest.post(f"{path}/{call_id}/accept", {}).is_success

    for one in of_ann:
        one.inbox.take("call-accepted", callId=call_id)


def test_a_gateway_that_dies_costs_its_clients_a_moment_and_nobody_a_message(
    cluster: Cluster, node_clients: NodeClients
) -> None:
    platform = cluster.platform
    people = [platform.person(f"p{number}") for number in range(9)]
    room = platform.room(*people)
    crowd = Crowd(node_clients, people, [WEBSOCKET, POLLING, UPGRADE])

    with Traffic(people[0], room.id, again=True) as traffic:
        for gateway in cluster.gateways:
            gateway.kill()
            time.sleep(0.5)  # of traffic
            gateway.start()

    last = people[0].send(room.id, "the last")
    history = [message.id for message in people[0].history(room.id)]
    assert history == [*traffic.sent, last.id]
    crowd.require_all_of(history, room.id)
    assert sum(crowd.connections()) > len(crowd.devices)
    crowd.close()


def test_without_the_database_the_gateways_still_answer_and_keep_their_sockets(
    cluster: Cluster, device: Opener
) -> None:
    ann, bob = cluster.platform.person("ann"), cluster.platform.person("bob")
    room = cluster.platform.room(ann, bob)
    devices = [device(person) for person in (ann, bob)]
    for one in devices:
        one.emit("join-room", {"roomId": room.id})
        one.inbox.take("joined-room")

    cluster.postgresql.stop()
    try:
        time.sleep(3.0)  # until HAProxy knows that none of them is ready
        answer = ann.rest.get("/chat/rooms")
        refusal(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
        devices[0].emit("typing", {"roomId": room.id, "isTyping": True})
        devices[1].inbox.take("typing", userId=ann.id, isTyping=True)
    finally:
        cluster.postgresql.start()

    sent = ann.send(room.id, "it is back")
    for one in devices:
        one.inbox.take("new-message", id=sent.id)
        assert one.inbox.seen("@disconnected") == []


def test_gateways_replaced_one_by_one_under_load(
    cluster: Cluster, node_clients: NodeClients, python_clients: PythonClients
) -> None:
    """Nothing is lost, no request fails, nobody is seen offline, and no client must move twice for one of them."""
    platform = cluster.platform
    people = [platform.person(f"p{number}") for number in range(16)]
    room = platform.room(*people)
    of_node = Crowd(node_clients, people[:12], [WEBSOCKET, POLLING, UPGRADE])
    of_python = Crowd(python_clients, people[12:], [WEBSOCKET, POLLING])
    moved = 0

    with Traffic(people[0], room.id) as one, Traffic(people[1], room.id) as other:
        for gateway in cluster.gateways:
            before = of_node.connections() + of_python.connections()
            end(gateway)
            time.sleep(1.0)  # the slowest client waits half a second before it comes back
            after = of_node.connections() + of_python.connections()
            costs = [now - earlier for now, earlier in zip(after, before, strict=True)]
            assert max(costs) <= 1, costs
            moved += sum(costs)
            gateway.start()

    last = people[0].send(room.id, "the last")
    history = [message.id for message in people[0].history(room.id)]
    assert one.failures + other.failures == []
    assert sorted(history) == sorted([*one.sent, *other.sent, last.id])
    of_node.require_all_of(history, room.id)
    of_python.require_all_while_connected(history, room.id)
    assert moved >= len(people)
    for crowd in (of_node, of_python):
        crowd.require_nobody_was_offline()
        crowd.close()
