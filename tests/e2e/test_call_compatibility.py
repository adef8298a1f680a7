"""The ways in which published clients are known to break in calls, one test each (contract, appendix A, by its numbers)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Opener, end
from tests.e2e.test_calls import settings
from tests.support.devices import Device
from tests.support.livekit_served import ServedLiveKit, serve_livekit
from tests.support.platform import Person, Platform, read
from tests.support.process import Gateway

MICROPHONE_WORDS = re.compile("notallowed|permission|denied|getusermedia", re.IGNORECASE)


@pytest.fixture(scope="module")
def livekit() -> Iterator[ServedLiveKit]:
    with serve_livekit() as served:
        yield served


@pytest.fixture(scope="module")
def gateway(livekit: ServedLiveKit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("calls") / "data", settings=settings(livekit))
    gateway.start()
    yield gateway
    end(gateway)


@pytest.fixture
def platform(gateway: Gateway) -> Iterator[Platform]:
    """A tenant of the test's own, whose settings it may change."""
    platform = Platform(gateway.url, gateway.create_tenant().api_key)
    yield platform
    platform.close()


class Place:
    """People, the room they call each other in, and a device of each."""

    def __init__(self, platform: Platform, device: Opener, *names: str) -> None:
        self.people = [platform.person(name) for name in names]
        self.devices = [device(person) for person in self.people]
        self.room = platform.room(*self.people, name="Team" if len(names) > 2 else None)
        self.calls = f"/chat/rooms/{self.room.id}/calls"

    def ask(self, person: Person, path: str = "", body: Any = None) -> dict[str, Any]:
        return read(person.rest.post(f"{self.calls}{path}", body or {}), dict[str, Any])

    def start(self, **body: Any) -> dict[str, Any]:
        """A call by the first of them."""
        call: dict[str, Any] = self.ask(self.people[0], body=body)["call"]
        for device in self.devices[1:]:
            device.inbox.take("call-invite", callId=call["id"])
        return call

    def settle(self) -> None:
        """Everything told so far has arrived everywhere: so has a message sent after it."""
        sent = self.people[0].send(self.room.id, "settled")
        for device in self.devices:
            device.inbox.take("new-message", id=sent.id)


@pytest.fixture
def pair(platform: Platform, any_device: Opener) -> Place:
    return Place(platform, any_device, "ann", "bob")


@pytest.fixture
def group(platform: Platform, any_device: Opener) -> Place:
    return Place(platform, any_device, "ann", "bob", "cid")


def endings(device: Device) -> list[str]:
    """What makes a client that is in a call, any call, hang up."""
    return [event for event in ("call-declined", "call-ended") if device.inbox.seen(event)]


def test_16_who_goes_on_talking_hears_of_no_decline_and_no_end(group: Place) -> None:
    call = group.start()
    group.ask(group.people[1], f"/{call['id']}/accept")
    group.ask(group.people[2], f"/{call['id']}/decline")
    group.settle()

    assert endings(group.devices[0]) == endings(group.devices[1]) == []


def test_17_the_device_that_accepts_hears_of_no_end(
    pair: Place, platform: Platform, any_device: Opener
) -> None:
    _, bob = pair.people
    tablet = any_device(bob)  # with the same token: it cannot be told apart, so nothing is sent
    other = any_device(platform.again(bob.id))
    call = pair.start()
    pair.ask(bob, f"/{call['id']}/accept")
    other.inbox.take("call-ended", callId=call["id"], reason="answered_elsewhere")
    pair.settle()

    assert endings(pair.devices[1]) == endings(tablet) == endings(pair.devices[0]) == []


def test_18_no_device_of_the_caller_rings(pair: Place, platform: Platform, any_device: Opener) -> None:
    again = any_device(platform.again(pair.people[0].id))
    pair.start()
    pair.settle()

    for device in (pair.devices[0], again):
        assert device.inbox.seen("call-invite") == []


def test_19_no_call_is_404(pair: Place) -> None:
    answer = pair.people[0].rest.get(f"{pair.calls}/active")

    assert answer.status_code == 404
    assert isinstance(answer.json()["error"], str)


@pytest.mark.parametrize("call_type", ["audio", "video"])
def test_20_words_on_the_wire_are_lower_case(pair: Place, call_type: str) -> None:
    call = pair.start(type=call_type)
    live = pair.people[1].rest.get(f"{pair.calls}/active").json()["call"]
    ended = pair.ask(pair.people[0], f"/{call['id']}/end")

    assert (call["type"], call["status"]) == (live["type"], live["status"]) == (call_type, "ringing")
    assert ended["status"] == ended["status"].lower()


@pytest.mark.parametrize("names", [("ann", "bob"), ("ann", "bob", "cid")], ids=["pair", "group"])
def test_21_a_call_log_says_whether_it_was_a_group(
    platform: Platform, any_device: Opener, names: tuple[str, ...]
) -> None:
    there = Place(platform, any_device, *names)
    call = there.start()
    there.ask(there.people[0], f"/{call['id']}/end", {"reason": "cancelled"})

    message = there.devices[1].inbox.take_if(
        "new-message", lambda message: message["parts"][0]["type"] == "data-call"
    )

    log = message["parts"][0]["data"]
    assert log["isGroup"] is (len(names) > 2)
    assert (log["callId"], log["outcome"]) == (call["id"], "cancelled")
    assert log["callType"] in ("audio", "video")
    assert log["initiatedByUserId"] == there.people[0].id


def test_22_a_ringing_call_outlives_its_empty_media_room(pair: Place, livekit: ServedLiveKit) -> None:
    call = pair.start()
    livekit.fake.restart()  # every media room is gone, and the server knows of none
    pair.settle()

    assert pair.people[0].rest.get(f"{pair.calls}/active").json()["call"]["status"] == "ringing"
    assert endings(pair.devices[1]) == []
    assert pair.ask(pair.people[1], f"/{call['id']}/accept")["call"]["status"] == "active"


def test_27_no_refusal_speaks_of_the_microphone(pair: Place, platform: Platform) -> None:
    call = pair.start()
    stranger = platform.person("eve")
    refusals = [
        stranger.rest.post(f"{pair.calls}/{call['id']}/accept", {}),
        pair.people[0].rest.post(f"{pair.calls}/none/accept", {}),
        pair.people[0].rest.post(pair.calls, {"type": "hologram"}),
    ]
    read(platform.rest.request("PATCH", "/tenant/settings", {"calls": {"enabled": False}}), dict[str, Any])
    for path in ("", *(f"/{call['id']}/{act}" for act in ("accept", "decline", "end", "leave", "token"))):
        refused = pair.people[1].rest.post(pair.calls + path, {})
        assert refused.status_code == 403
        refusals.append(refused)

    for refused in refusals:
        assert refused.status_code >= 400
        assert not MICROPHONE_WORDS.search(refused.text), refused.text


def test_29_a_token_of_a_ringing_call_answers_it(pair: Place) -> None:
    ann, bob = pair.people
    call = pair.start()
    waiting = pair.ask(ann, f"/{call['id']}/token")
    assert ann.rest.get(f"{pair.calls}/active").json()["call"]["status"] == "ringing"

    answer = pair.ask(bob, f"/{call['id']}/token")

    for credentials in (waiting, answer):
        assert credentials["livekit"]["token"] == credentials["token"]
        assert credentials["expiresAt"].endswith("Z")
    pair.devices[0].inbox.take("call-accepted", callId=call["id"], userId=bob.id)
    assert ann.rest.get(f"{pair.calls}/active").json()["call"]["status"] == "active"


def test_30_a_declined_call_also_ends_for_the_other_device_that_rang(
    pair: Place, platform: Platform, any_device: Opener
) -> None:
    _, bob = pair.people
    again = any_device(platform.again(bob.id))
    call = pair.start()
    again.inbox.take("call-invite", callId=call["id"])

    pair.ask(bob, f"/{call['id']}/decline")

    for device in (pair.devices[0], pair.devices[1], again):
        device.inbox.take("call-declined", callId=call["id"], userId=bob.id)
        device.inbox.take("call-ended", callId=call["id"], reason="declined")
