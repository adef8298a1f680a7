"""Real calls between two pages of a real browser: rung and answered through the gateway, seen through LiveKit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.browser import Browser, start_browser
from tests.support.calling import Calling, start_calling
from tests.support.phones import Phone, open_phone, serve_phones
from tests.support.platform import Person, read

RING_S = 15  # the shortest that a tenant may set
ADVANCE = 20  # frames that prove a moving picture, not a first one


@pytest.fixture(scope="module")
def calling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calling]:
    with start_calling(tmp_path_factory.mktemp("calling") / "data") as calling:
        yield calling
    assert "Traceback" not in calling.gateway.process.output


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with start_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serve_phones() as address:
        yield address


class Two:
    """Ann and Bob, a phone each."""

    def __init__(self, calling: Calling, browser: Browser, address: str) -> None:
        platform = calling.platform
        self.ann, self.bob = platform.person("ann"), platform.person("bob")
        self.room_id = platform.room(self.ann, self.bob).id
        self.anns: Phone = open_phone(browser, address, self.ann, self.room_id)
        self.bobs: Phone = open_phone(browser, address, self.bob, self.room_id)

    def ring(self) -> None:
        self.anns.do("start", "video")
        self.bobs.wait_until("phone.state === 'incoming'")

    def talk(self) -> None:
        self.ring()
        self.bobs.do("accept")
        for phone in (self.anns, self.bobs):
            phone.wait_until("phone.state === 'active'")

    def log_of(self, person: Person) -> dict[str, Any]:
        """The one call log that this person finds in the room."""
        page = read(person.rest.get(f"/chat/rooms/{self.room_id}/messages"), dict[str, Any])
        (message,) = page["messages"]
        (part,) = message["parts"]
        assert part["type"] == "data-call"
        data: dict[str, Any] = part["data"]
        return data


def see(phone: Phone, other: Person) -> None:
    """The picture of the other moves."""
    phone.wait_until(f"phone.frames({other.id!r}) > 0")
    first = phone.do("frames", other.id)
    phone.wait_until(f"phone.frames({other.id!r}) > {first + ADVANCE}")


@pytest.fixture
def two(calling: Calling, browser: Browser, address: str) -> Two:
    return Two(calling, browser, address)


def test_both_see_each_other_until_one_hangs_up(two: Two) -> None:
    two.talk()
    for phone, other in ((two.anns, two.bob), (two.bobs, two.ann)):
        see(phone, other)

    two.anns.do("hangUp")
    for phone, person in ((two.anns, two.ann), (two.bobs, two.bob)):
        phone.wait_until("phone.state === 'ended'")
        assert [ended["reason"] for ended in phone.events("call-ended")] == ["ended"]
        phone.wait_until("phone.events.some(([event]) => event === 'new-message')")
        log = two.log_of(person)
        assert (log["outcome"], log["callType"]) == ("completed", "video")
        assert log["durationSeconds"] >= 0
    assert two.anns.events("call-invite") == []


def test_a_page_that_reloads_is_back_in_the_call(two: Two) -> None:
    two.talk()
    two.bobs.load()
    two.bobs.do("rejoin")
    for phone, other in ((two.anns, two.bob), (two.bobs, two.ann)):
        see(phone, other)
    assert two.anns.state == "active"
    assert two.anns.events("call-ended") == []


def test_a_call_that_is_declined(two: Two) -> None:
    two.ring()
    two.bobs.do("decline")
    for phone, person in ((two.anns, two.ann), (two.bobs, two.bob)):
        phone.wait_until("phone.state === 'ended'")
        assert two.log_of(person)["outcome"] == "declined"
    assert len(two.anns.events("call-declined")) == 1


def test_a_call_that_nobody_answers(two: Two, calling: Calling) -> None:
    changed = calling.platform.rest.request(
        "PATCH", "/tenant/settings", {"calls": {"ringTimeoutSeconds": RING_S}}
    )
    assert changed.status_code == 200
    two.ring()
    for phone, person in ((two.anns, two.ann), (two.bobs, two.bob)):
        phone.wait_until("phone.state === 'ended'", within_s=RING_S + 5)
        assert [ended["reason"] for ended in phone.events("call-ended")] == ["no_answer"]
        assert two.log_of(person)["outcome"] == "missed"
