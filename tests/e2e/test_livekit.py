"""Calls on the real gateway beside a LiveKit that fails in every way it may."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Opener, end
from tests.support.devices import Device
from tests.support.livekit_fake import Refused
from tests.support.livekit_served import Fate, ServedLiveKit, at_once, serve_livekit
from tests.support.platform import Person, Platform, read, refusal
from tests.support.process import ROOT, Gateway

RIGHT_S = 15.0  # the call's state is right within this, webhooks or not
FATES: dict[str, Fate] = {
    "arrive": at_once,
    "are lost": lambda webhook: [],
    "come twice": lambda webhook: [0.0, 0.5],
    "are a minute late": lambda webhook: [60.0],
}


class Pair:
    """Two people with a room and a device each."""

    def __init__(self, platform: Platform, device: Opener) -> None:
        self.ann, self.bob = platform.person("ann"), platform.person("bob")
        self.room_id = platform.room(self.ann, self.bob).id
        self.anns, self.bobs = device(self.ann), device(self.bob)

    def ask(self, person: Person, path: str = "") -> Any:
        return person.rest.post(f"/chat/rooms/{self.room_id}/calls{path}", {})

    def talk(self, livekit: ServedLiveKit) -> dict[str, Any]:
        """A call that both are in, media and all; its record."""
        started = read(self.ask(self.ann), dict[str, Any])
        call: dict[str, Any] = started["call"]
        self.bobs.inbox.take("call-invite", callId=call["id"])
        accepted = read(self.ask(self.bob, f"/{call['id']}/accept"), dict[str, Any])
        self.anns.inbox.take("call-accepted", callId=call["id"])
        for answer in (started, accepted):
            livekit.fake.join(answer["livekit"]["token"])
        return call


@pytest.fixture(scope="module")
def livekit() -> Iterator[ServedLiveKit]:
    with serve_livekit() as served:
        yield served


@pytest.fixture(scope="module")
def calling(livekit: ServedLiveKit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("calling") / "data", settings=settings(livekit))
    gateway.start()
    livekit.post.url = f"{gateway.url}/v1/livekit/webhook"
    yield gateway
    end(gateway)


@pytest.fixture
def calling_platform(calling: Gateway) -> Iterator[Platform]:
    platform = Platform(calling.url, calling.create_tenant().api_key)
    yield platform
    platform.close()


@pytest.fixture
def pair(calling_platform: Platform, device: Opener) -> Pair:
    return Pair(calling_platform, device)


def settings(livekit: ServedLiveKit, **other: str) -> dict[str, Any]:
    of_livekit = {"url": livekit.url, "api_key": livekit.fake.key, "api_secret": livekit.fake.secret}
    return {"livekit": {**of_livekit, "public_url": "wss://media.example.org", **other}}


def until(holds: Callable[[], bool], *, within_s: float) -> None:
    """Poll what tells nobody of its changes: the fake's own state."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s} s"
        time.sleep(0.05)


def test_a_call_is_over_soon_after_one_of_two_has_vanished_whatever_becomes_of_the_webhooks(
    calling_platform: Platform, livekit: ServedLiveKit, device: Opener
) -> None:
    pairs = [Pair(calling_platform, device) for _ in FATES]
    fate_in: dict[str, Fate] = {}
    livekit.post.fate = lambda webhook: fate_in.get(webhook.room, at_once)(webhook)
    calls = [pair.talk(livekit) for pair in pairs]
    fate_in |= {call["livekitRoomName"]: fate for call, fate in zip(calls, FATES.values(), strict=True)}
    for pair, call in zip(pairs, calls, strict=True):
        livekit.fake.leave(call["livekitRoomName"], pair.bob.id)
    deadline = time.monotonic() + RIGHT_S
    for pair, call in zip(pairs, calls, strict=True):
        for inbox in (pair.anns.inbox, pair.bobs.inbox):
            ended = inbox.take("call-ended", callId=call["id"], within_s=deadline - time.monotonic())
            assert ended["reason"] == "left"
    until(lambda: livekit.fake.rooms.keys().isdisjoint(fate_in), within_s=5)
    assert set(livekit.post.answers) == {200}


def test_hanging_up_closes_the_room_for_both(pair: Pair, livekit: ServedLiveKit) -> None:
    call = pair.talk(livekit)
    assert livekit.fake.present(call["livekitRoomName"]) == {pair.ann.id, pair.bob.id}
    read(pair.ask(pair.ann, f"/{call['id']}/end"), dict[str, Any])
    until(lambda: call["livekitRoomName"] not in livekit.fake.rooms, within_s=5)


def test_who_is_removed_from_the_room_is_out_of_the_call_and_stays_out(
    calling_platform: Platform, livekit: ServedLiveKit
) -> None:
    ann, bob, cleo = people = [calling_platform.person(name) for name in ("ann", "bob", "cleo")]
    room_id = calling_platform.room(*people).id
    started = read(ann.rest.post(f"/chat/rooms/{room_id}/calls", {}), dict[str, Any])
    call, tokens = started["call"], [started["livekit"]["token"]]
    for person in (bob, cleo):
        path = f"/chat/rooms/{room_id}/calls/{call['id']}/accept"
        tokens.append(read(person.rest.post(path, {}), dict[str, Any])["livekit"]["token"])
    for token in tokens:
        livekit.fake.join(token)

    removed = calling_platform.rest.request("DELETE", f"/chat/rooms/{room_id}/participants/{bob.id}")
    assert removed.status_code == 200, removed.text
    media_room, others = call["livekitRoomName"], {ann.id, cleo.id}
    until(lambda: livekit.fake.present(media_room) == others, within_s=5)
    for _ in range(2):  # with the token that he still has
        livekit.fake.join(tokens[1])
        until(lambda: livekit.fake.present(media_room) == others, within_s=5)


class TestLiveKitAway:
    def test_nobody_rings_and_the_caller_is_told_when_to_try_again(
        self, pair: Pair, livekit: ServedLiveKit
    ) -> None:
        livekit.fake.away = True
        refused = pair.ask(pair.ann)
        assert refusal(refused, 503).code == "calls_unavailable"
        assert int(refused.headers["retry-after"]) >= 1
        livekit.fake.away = False
        call = pair.talk(livekit)
        assert [invite["callId"] for invite in pair.bobs.inbox.seen("call-invite")] == [call["id"]]

    def test_a_call_can_be_ended_all_the_same_and_its_room_is_closed_later(
        self, pair: Pair, livekit: ServedLiveKit
    ) -> None:
        call = pair.talk(livekit)
        livekit.fake.away = True
        read(pair.ask(pair.ann, f"/{call['id']}/end"), dict[str, Any])
        pair.bobs.inbox.take("call-ended", callId=call["id"])
        livekit.fake.away = False
        until(lambda: call["livekitRoomName"] not in livekit.fake.rooms, within_s=30)

    def test_a_call_that_ended_while_the_gateway_was_killed_leaves_no_room_behind(
        self, pair: Pair, livekit: ServedLiveKit, calling: Gateway
    ) -> None:
        call = pair.talk(livekit)
        livekit.fake.away = True
        read(pair.ask(pair.ann, f"/{call['id']}/end"), dict[str, Any])
        calling.kill()
        livekit.fake.away = False
        assert call["livekitRoomName"] in livekit.fake.rooms
        calling.start()
        until(lambda: call["livekitRoomName"] not in livekit.fake.rooms, within_s=30)


class TestAtTheStart:
    def said(self, data: Path, config: dict[str, Any], pattern: str) -> str:
        gateway = Gateway(data, settings=config)
        try:
            return gateway.start().wait_for_line(pattern)[0]
        finally:
            gateway.stop()

    def test_a_livekit_that_works_is_said_to(self, data: Path, livekit: ServedLiveKit) -> None:
        assert self.said(data, settings(livekit), "LiveKit is ready")

    @pytest.mark.parametrize(
        ("other", "reason"),
        [
            ({"url": "http://127.0.0.1:1"}, "nothing listens there"),
            ({"api_secret": "x" * 32}, "with another secret"),
        ],
    )
    def test_one_that_does_not_is_warned_of_with_the_reason(
        self, data: Path, livekit: ServedLiveKit, other: dict[str, str], reason: str
    ) -> None:
        said = self.said(data, settings(livekit, **other), "calls will not work until LiveKit does.*")
        assert reason in said
        assert livekit.fake.secret not in said

    def test_a_missing_library_is_said_in_one_line(self, data: Path, livekit: ServedLiveKit) -> None:
        start = (
            "import sys; sys.modules['livekit.api'] = None; from gateway.__main__ import main; "
            f"sys.argv = ['gateway', 'serve', '--port', '0', '--data', {str(data)!r}]; main()"
        )
        done = subprocess.run(
            [sys.executable, "-c", start],
            cwd=ROOT,
            env={**os.environ, **livekit.environ},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == (
            'gateway: livekit.url needs the extra "livekit", which lacks livekit.api'
        )
        # And no tenant has been made whose keys nobody has seen.
        gateway = Gateway(data)
        assert gateway.start().wait_for_line("sk_live_")
        gateway.stop()


def test_the_token_that_is_handed_out_opens_one_room_and_no_other(pair: Pair, livekit: ServedLiveKit) -> None:
    started = read(pair.ask(pair.ann), dict[str, Any])
    assert started["livekit"]["url"] == "wss://media.example.org"
    room, identity = livekit.fake.join(started["livekit"]["token"])
    assert (room, identity) == (started["call"]["livekitRoomName"], pair.ann.id)
    livekit.fake.restart()  # auto_create is off, so that an old token opens nothing
    with pytest.raises(Refused):
        livekit.fake.join(started["livekit"]["token"])


def test_without_livekit_calls_are_refused_and_everything_else_works(
    gateway: Gateway, platform: Platform, device: Opener
) -> None:
    pair = Pair(platform, device)
    assert refusal(pair.ask(pair.ann), 503).code == "calls_unavailable"
    assert refusal(pair.ann.rest.get(f"/chat/rooms/{pair.room_id}/calls/active"), 404).code == "not_found"
    assert refusal(platform.rest.post("/livekit/webhook", {}), 503).code == "calls_unavailable"
    message: Any = pair.ann.send(pair.room_id, "Hello")
    received: Device = pair.bobs
    assert received.inbox.take("new-message", id=message.id)
