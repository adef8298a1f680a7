"""Calls over two gateways with one database, one Redis and one LiveKit: who talks to whom is the same from either."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from tests.e2e.conftest import Opener, end
from tests.support.cluster import Cluster, running_cluster
from tests.support.lines import Line, at_once
from tests.support.livekit_served import ServedLiveKit, serve_livekit
from tests.support.platform import read
from tests.support.stopwatch import Stopwatch

MANY = {"per_s": 10_000, "burst": 10_000}
LIMITS = {"call_start": MANY, "call_token_refresh": MANY}
PAIRS, ROUNDS = 4, 25
ROUND_S = 3.0  # a node looks at its share of the live calls
RING_S = 15  # the shortest
SHORT_RINGS = {"calls": {"ringTimeoutSeconds": RING_S}}
RIGHT_S = 15.0  # within which a call is as LiveKit has it


@pytest.fixture(scope="module")
def livekit() -> Iterator[ServedLiveKit]:
    with serve_livekit() as served:
        yield served


@pytest.fixture(scope="module")
def cluster(livekit: ServedLiveKit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    media = {"url": livekit.url, "api_key": livekit.fake.key, "api_secret": livekit.fake.secret}
    folder = tmp_path_factory.mktemp("calls")
    with running_cluster(folder, gateways=2, livekit=media, limits=LIMITS) as cluster:
        yield cluster
        for gateway in cluster.gateways:
            end(gateway)


@pytest.fixture(autouse=True)
def no_webhooks_unless_a_test_wants_them(livekit: ServedLiveKit) -> None:
    livekit.post.url = None


def two_ended(cluster: Cluster, *others: str) -> Line:
    """Ann at the first gateway and Bob at the second."""
    return Line(cluster.platform, *others, urls=[gateway.url for gateway in cluster.gateways])


@pytest.fixture
def line(cluster: Cluster) -> Line:
    return two_ended(cluster)


def until(holds: Callable[[], bool], *, within_s: float) -> None:
    """Poll what tells nobody of its changes: the fake's own state."""
    watch = Stopwatch()
    while not holds():
        assert watch.seconds() < within_s, f"not within {within_s} s"
        time.sleep(0.01)


def test_it_begins_at_one_is_accepted_at_the_other_and_ends_at_both(line: Line, device: Opener) -> None:
    anns, bobs = device(line.ann), device(line.bob)

    call = line.start(line.ann)
    bobs.inbox.take("call-invite", callId=call["id"])
    accepted = read(line.ask(line.bob, f"/{call['id']}/accept"), dict[str, Any])["call"]

    anns.inbox.take("call-accepted", callId=call["id"], userId=line.bob.id)
    assert line.live(line.ann) == line.live(line.bob) == accepted
    assert accepted["status"] == "active"
    read(line.ask(line.ann, f"/{call['id']}/end"), dict[str, Any])
    for one in (anns, bobs):
        assert one.inbox.take("call-ended", callId=call["id"])["reason"] == "ended"
        one.inbox.take_if("new-message", lambda message: message["parts"][0]["type"] == "data-call")


def test_a_device_at_the_other_that_answers_silences_the_rest(
    cluster: Cluster, line: Line, device: Opener
) -> None:
    phone, tablet = device(line.bob), device(cluster.platform.at(line.ann.url, line.bob))
    call = line.start(line.ann)
    for one in (phone, tablet):
        one.inbox.take("call-invite", callId=call["id"])

    read(line.ask(line.bob, f"/{call['id']}/decline"), dict[str, Any])

    for one in (phone, tablet):
        assert one.inbox.take("call-ended", callId=call["id"])["reason"] == "declined"


def test_two_starts_that_cross_at_two_gateways_always_end_as_one_active_call(cluster: Cluster) -> None:
    lines = [two_ended(cluster) for _ in range(PAIRS)]

    def cross(line: Line) -> list[tuple[str, frozenset[str]]]:
        found = []
        for _ in range(ROUNDS):
            answers = at_once(lambda: line.ask(line.ann), lambda: line.ask(line.bob))
            call = line.live(line.ann)
            assert {read(answer, dict[str, Any])["call"]["id"] for answer in answers} == {call["id"]}
            joined = [entry["userId"] for entry in call["participants"] if entry["status"] == "joined"]
            found.append((call["status"], frozenset(joined)))
            read(line.ask(line.bob, f"/{call['id']}/leave"), dict[str, Any])
        return found

    with ThreadPoolExecutor(PAIRS) as threads:
        results = list(threads.map(cross, lines))
    for line, found in zip(lines, results, strict=True):
        assert found == [("active", frozenset((line.ann.id, line.bob.id)))] * ROUNDS
        assert line.outcomes() == ["completed"] * ROUNDS


def test_an_accept_and_a_cancel_that_cross_agree_on_what_became_of_the_call(line: Line) -> None:
    expected = []
    for _ in range(ROUNDS):
        call = line.start(line.ann)
        accepted, ended = at_once(
            lambda: line.ask(line.bob, f"/{call['id']}/accept"),  # noqa: B023
            lambda: line.ask(line.ann, f"/{call['id']}/end"),  # noqa: B023
        )
        status = read(ended, dict[str, Any])["status"]
        assert (accepted.status_code, status) in {(200, "ended"), (409, "cancelled")}
        expected.append({"ended": "completed", "cancelled": "cancelled"}[status])
    assert line.outcomes() == expected


def test_a_ring_whose_gateway_is_killed_ends_on_time_by_the_other(
    cluster: Cluster, line: Line, device: Opener
) -> None:
    read(cluster.platform.rest.request("PATCH", "/tenant/settings", SHORT_RINGS), dict[str, Any])
    bobs = device(line.bob)
    call = line.start(line.ann)
    watch, due = Stopwatch(), time.monotonic() + RING_S
    bobs.inbox.take("call-invite", callId=call["id"])

    cluster.gateways[0].kill()
    try:
        ended = bobs.inbox.take("call-ended", callId=call["id"], within_s=2 * RING_S)
        came, took_s = time.monotonic(), watch.seconds()
    finally:
        cluster.gateways[0].start()
    assert ended["reason"] == "no_answer"
    assert came > due - 0.5
    assert took_s < RING_S + 3
    assert line.outcomes() == ["missed"]


def test_livekits_webhooks_may_come_to_either(cluster: Cluster, livekit: ServedLiveKit) -> None:
    """Who was sent away shows his old token again: by its rounds alone a gateway would see him after up to 3 s."""
    for gateway in cluster.gateways:
        line = two_ended(cluster, "cleo")
        call, ways = line.talk()
        for way in ways:
            livekit.fake.join(way["token"])
        livekit.post.url = f"{gateway.url}/v1/livekit/webhook"
        path = f"/chat/rooms/{line.room_id}/participants/{line.bob.id}"
        assert cluster.platform.rest.request("DELETE", path).is_success
        others = {person.id for person in line.people} - {line.bob.id}
        until(lambda: livekit.fake.present(call["livekitRoomName"]) == others, within_s=RIGHT_S)  # noqa: B023
        for _ in range(5):
            livekit.fake.join(ways[1]["token"])
            until(lambda: livekit.fake.present(call["livekitRoomName"]) == others, within_s=1.0)  # noqa: B023
        read(line.ask(line.ann, f"/{call['id']}/end"), dict[str, Any])
    assert set(livekit.post.answers) == {200}


def test_one_of_them_looks_after_a_call(cluster: Cluster, livekit: ServedLiveKit) -> None:
    lines = [two_ended(cluster) for _ in range(PAIRS)]
    calls = [line.talk() for line in lines]
    for _, ways in calls:
        for way in ways:
            livekit.fake.join(way["token"])
    looked = [livekit.fake.looked.setdefault(call["livekitRoomName"], []) for call, _ in calls]
    began = time.monotonic()
    until(lambda: all(len([at for at in times if at > began]) >= 3 for times in looked), within_s=RIGHT_S)
    for times in looked:
        later = [at for at in times if at > began]
        # Two that did would come by twice in that time.
        assert min(after - before for before, after in pairwise(later)) > 0.8 * ROUND_S
    for line, (call, _) in zip(lines, calls, strict=True):
        read(line.ask(line.ann, f"/{call['id']}/end"), dict[str, Any])
