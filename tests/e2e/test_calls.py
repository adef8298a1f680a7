"""Calls on a real gateway: devices that ring, requests that cross, and processes that are killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Opener, end
from tests.support.lines import Line, at_once
from tests.support.livekit_served import ServedLiveKit, serve_livekit
from tests.support.platform import Platform, read
from tests.support.process import Gateway
from tests.support.stopwatch import Stopwatch

CROSSINGS = 1_000
PAIRS = 8
MANY = {"per_s": 10_000, "burst": 10_000}


@pytest.fixture(scope="module")
def livekit() -> Iterator[ServedLiveKit]:
    with serve_livekit() as served:
        yield served


def settings(livekit: ServedLiveKit) -> dict[str, Any]:
    return {
        "livekit": {
            "url": livekit.url,
            "public_url": "wss://media.example.org",
            "api_key": livekit.fake.key,
            "api_secret": livekit.fake.secret,
        },
        "limits": {"call_start": MANY, "call_token_refresh": MANY},
    }


@pytest.fixture(scope="module")
def calling(livekit: ServedLiveKit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("calls") / "data", settings=settings(livekit))
    keys = gateway.create_tenant()
    gateway.start()
    gateway.data.with_suffix(".key").write_text(keys.api_key)
    yield gateway
    end(gateway)


@pytest.fixture(scope="module")
def caller(calling: Gateway) -> Iterator[Platform]:
    platform = Platform(calling.url, calling.data.with_suffix(".key").read_text())
    yield platform
    platform.close()


@pytest.fixture
def line(caller: Platform) -> Line:
    return Line(caller)


def test_a_call_rings_on_every_device_and_falls_silent_on_all_but_the_one_that_answers(
    line: Line, caller: Platform, any_device: Opener
) -> None:
    again = caller.again(line.bob.id)
    anns, phone, tablet = any_device(line.ann), any_device(line.bob), any_device(again)
    call = line.start(line.ann)
    for device in (phone, tablet):
        device.inbox.take("call-invite", callId=call["id"])

    accepted = read(line.ask(line.bob, f"/{call['id']}/accept"), dict[str, Any])

    assert accepted["call"]["status"] == "active"
    for device in (anns, phone, tablet):
        device.inbox.take("call-accepted", callId=call["id"], userId=line.bob.id)
    assert tablet.inbox.take("call-ended", callId=call["id"])["reason"] == "answered_elsewhere"
    line.ask(line.ann, f"/{call['id']}/end")
    for device in (anns, phone, tablet):
        assert device.inbox.take("call-ended", callId=call["id"])["reason"] == "ended"
        device.inbox.take_if("new-message", lambda message: message["parts"][0]["type"] == "data-call")
    # The phone that answered was told of no other end, and the creator's never rang.
    assert len(phone.inbox.seen("call-ended")) == 1
    assert anns.inbox.seen("call-invite") == []


def test_a_device_that_connects_while_it_rings_rings(line: Line, device: Opener) -> None:
    call = line.start(line.ann)
    late = device(line.bob)
    assert late.inbox.take("call-invite", callId=call["id"])["livekitRoomName"] == call["livekitRoomName"]
    line.ask(line.bob, f"/{call['id']}/decline")
    later = device(line.bob)
    later.inbox.take("tenant-presence-snapshot")
    assert later.inbox.seen("call-invite") == []


def test_a_socket_that_is_lost_does_not_end_the_call(line: Line, device: Opener) -> None:
    anns, bobs = device(line.ann), device(line.bob)
    call = line.start(line.ann)
    line.ask(line.bob, f"/{call['id']}/accept")
    anns.inbox.take("call-accepted", callId=call["id"])
    bobs.close()
    anns.close()
    back = device(line.ann)
    back.inbox.take("tenant-presence-snapshot")
    assert line.live()["status"] == "active"
    line.ask(line.ann, f"/{call['id']}/end")


def test_two_crossing_starts_always_end_as_one_active_call_with_both_in_it(caller: Platform) -> None:
    lines = [Line(caller) for _ in range(PAIRS)]
    rounds = CROSSINGS // PAIRS

    def cross(line: Line) -> list[tuple[str, frozenset[str]]]:
        found = []
        for _ in range(rounds):
            one, other = at_once(lambda: line.ask(line.ann), lambda: line.ask(line.bob))
            ids = {read(answer, dict[str, Any])["call"]["id"] for answer in (one, other)}
            call = line.live()
            assert ids == {call["id"]}
            joined = [entry["userId"] for entry in call["participants"] if entry["status"] == "joined"]
            found.append((call["status"], frozenset(joined)))
            read(line.ask(line.ann, f"/{call['id']}/leave"), dict[str, Any])
        return found

    with ThreadPoolExecutor(PAIRS) as threads:
        results = list(threads.map(cross, lines))
    for line, found in zip(lines, results, strict=True):
        assert found == [("active", frozenset((line.ann.id, line.bob.id)))] * rounds
        assert line.outcomes() == ["completed"] * rounds


def test_of_two_devices_that_answer_in_the_same_moment_one_wins(line: Line, caller: Platform) -> None:
    tablet = caller.again(line.bob.id)
    for _ in range(25):
        call = line.start(line.ann)
        path = f"/{call['id']}/accept"
        answers = at_once(lambda: line.ask(line.bob, path), lambda: line.ask(tablet, path))  # noqa: B023
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        read(line.ask(line.ann, f"/{call['id']}/end"), dict[str, Any])
    assert line.outcomes() == ["completed"] * 25


def test_an_accept_and_a_cancel_that_cross_agree_on_what_became_of_the_call(line: Line) -> None:
    expected = []
    for _ in range(50):
        call = line.start(line.ann)
        path = f"/{call['id']}"
        accepted, ended = at_once(
            lambda: line.ask(line.bob, f"{path}/accept"),  # noqa: B023
            lambda: line.ask(line.ann, f"{path}/end"),  # noqa: B023
        )
        status = read(ended, dict[str, Any])["status"]
        assert (accepted.status_code, status) in {(200, "ended"), (409, "cancelled")}
        expected.append({"ended": "completed", "cancelled": "cancelled"}[status])
    assert line.outcomes() == expected


@pytest.fixture
def mortal(livekit: ServedLiveKit, data: Path) -> Iterator[Gateway]:
    """A gateway for one test, to be killed and started again."""
    gateway = Gateway(data, settings=settings(livekit))
    keys = gateway.create_tenant()
    gateway.start()
    data.with_suffix(".key").write_text(keys.api_key)
    yield gateway
    end(gateway)


def test_a_call_that_rings_when_the_process_is_killed_is_missed_on_time(
    mortal: Gateway, data: Path, device: Opener
) -> None:
    platform = Platform(mortal.url, data.with_suffix(".key").read_text())
    settings = {"calls": {"ringTimeoutSeconds": 15}}
    read(platform.rest.request("PATCH", "/tenant/settings", settings), dict[str, Any])
    line = Line(platform)
    call = line.start(line.ann)
    watch, due = Stopwatch(), time.monotonic() + 15
    mortal.kill()
    mortal.start()
    bobs = device(line.bob)
    bobs.inbox.take("call-invite", callId=call["id"])  # it rings again, for who comes back
    ended = bobs.inbox.take("call-ended", callId=call["id"])
    assert ended["reason"] == "no_answer"
    assert time.monotonic() > due - 0.5
    assert watch.seconds() < 15 + 5
    assert line.outcomes() == ["missed"]
    platform.close()
