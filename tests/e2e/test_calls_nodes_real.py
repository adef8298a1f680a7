"""Calls over two gateways beside the real LiveKit server, with LiveKit's own client on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bench.server import free_port
from tests.e2e.conftest import Opener, end
from tests.support.cluster import Cluster, running_cluster
from tests.support.lines import Line
from tests.support.livekit_server import start_livekit
from tests.support.platform import read
from tests.support.rtc import MediaClients

RIGHT_S = 15.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    port = free_port()  # LiveKit must know it before the gateway can start
    folder = tmp_path_factory.mktemp("calls")
    with (
        start_livekit(webhooks_to=f"http://127.0.0.1:{port}/v1/livekit/webhook") as livekit,
        running_cluster(folder, gateways=2, first_port=port, livekit=livekit.settings) as cluster,
    ):
        yield cluster
        for gateway in cluster.gateways:
            end(gateway)


@pytest.fixture(scope="module")
def clients() -> Iterator[MediaClients]:
    clients = MediaClients()
    yield clients
    clients.close()


@pytest.fixture
def line(cluster: Cluster) -> Line:
    """Ann at the first gateway and Bob at the second."""
    return Line(cluster.platform, urls=[gateway.url for gateway in cluster.gateways])


def test_both_hear_each_other_until_one_hangs_up(line: Line, clients: MediaClients, device: Opener) -> None:
    devices = [device(person) for person in line.people]
    call, ways = line.talk()
    anns, bobs = [clients.join(way["url"], way["token"]) for way in ways]
    anns.speak()
    bobs.speak()
    anns.wait_to_hear((line.bob.id, "audio"))
    bobs.wait_to_hear((line.ann.id, "audio"))

    read(line.ask(line.ann, f"/{call['id']}/end"), dict[str, Any])

    assert [media.wait_until_out() for media in (anns, bobs)] == ["ROOM_DELETED", "ROOM_DELETED"]
    for one in devices:
        assert one.inbox.take("call-ended", callId=call["id"])["reason"] == "ended"


def test_both_are_told_of_the_end_when_one_of_two_has_gone(
    line: Line, clients: MediaClients, device: Opener
) -> None:
    devices = [device(person) for person in line.people]
    call, ways = line.talk()
    anns, bobs = [clients.join(way["url"], way["token"]) for way in ways]

    bobs.close()

    for one in devices:
        assert one.inbox.take("call-ended", callId=call["id"], within_s=RIGHT_S)["reason"] == "left"
    assert anns.wait_until_out() == "ROOM_DELETED"
    assert line.outcomes() == ["completed"]
