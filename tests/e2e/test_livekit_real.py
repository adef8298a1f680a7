"""Calls through the real gateway and the real LiveKit server, with LiveKit's own client on both sides."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from livekit.api import AccessToken, VideoGrants

from tests.e2e.conftest import Opener
from tests.support.calling import Calling, start_calling
from tests.support.livekit_server import KEY, SECRET, LiveKitServer, livekit_binary
from tests.support.platform import Person, Platform, read
from tests.support.process import ROOT
from tests.support.rtc import MediaClient, MediaClients, NotLetIn

RIGHT_S = 15.0


@pytest.fixture(scope="module")
def calling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calling]:
    with start_calling(tmp_path_factory.mktemp("calling") / "data") as calling:
        yield calling
    assert "Traceback" not in calling.gateway.process.output


@pytest.fixture(scope="module")
def platform(calling: Calling) -> Platform:
    return calling.platform


@pytest.fixture(scope="module")
def livekit(calling: Calling) -> LiveKitServer:
    return calling.livekit


@pytest.fixture(scope="module")
def clients() -> Iterator[MediaClients]:
    clients = MediaClients()
    yield clients
    clients.close()


class Call:
    """Some people in a call, each with a device and in the media room."""

    def __init__(
        self, platform: Platform, clients: MediaClients, device: Opener, *names: str, type: str
    ) -> None:
        self.people = [platform.person(name) for name in names]
        self.room_id = platform.room(*self.people).id
        self.devices = [device(person) for person in self.people]
        creator, *others = self.people
        answers = [read(creator.rest.post(self.path(), {"type": type}), dict[str, Any])]
        self.record: dict[str, Any] = answers[0]["call"]
        for person in others:
            answers.append(read(self.ask(person, "accept"), dict[str, Any]))
        self.tokens = [answer["livekit"]["token"] for answer in answers]
        self.url = answers[0]["livekit"]["url"]
        self.media = [clients.join(self.url, token) for token in self.tokens]

    def path(self) -> str:
        return f"/chat/rooms/{self.room_id}/calls"

    def ask(self, person: Person, action: str) -> Any:
        return person.rest.post(f"{self.path()}/{self.record['id']}/{action}", {})


@pytest.fixture
def call(platform: Platform, clients: MediaClients, device: Opener) -> Call:
    return Call(platform, clients, device, "ann", "bob", type="audio")


def test_the_configuration_that_we_ship_is_understood() -> None:
    done = subprocess.run(
        [livekit_binary(), "--config", str(ROOT / "configs" / "livekit.yaml"), "ports"],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert "7880" in done.stdout, done.stdout + done.stderr


def test_both_hear_each_other_until_one_hangs_up(call: Call) -> None:
    (ann, bob), (anns, bobs) = call.people, call.media
    anns.speak()
    bobs.speak()
    anns.wait_to_hear((bob.id, "audio"))
    bobs.wait_to_hear((ann.id, "audio"))
    read(call.ask(ann, "end"), dict[str, Any])
    assert [media.wait_until_out() for media in call.media] == ["ROOM_DELETED", "ROOM_DELETED"]
    for device in call.devices:
        assert device.inbox.take("call-ended", callId=call.record["id"])["reason"] == "ended"


def test_an_audio_call_carries_no_picture(call: Call) -> None:
    ann = call.people[0]
    anns, bobs = call.media
    anns.try_to_show()
    anns.speak()  # LiveKit takes what one client asks for in order: it has refused the camera by now
    bobs.wait_to_hear((ann.id, "audio"))
    assert bobs.hears == {(ann.id, "audio")}


def test_a_video_call_does(platform: Platform, clients: MediaClients, device: Opener) -> None:
    call = Call(platform, clients, device, "ann", "bob", type="video")
    ann = call.people[0]
    anns, bobs = call.media
    anns.try_to_show()
    anns.speak()
    bobs.wait_to_hear((ann.id, "audio"), (ann.id, "video"))


def test_a_call_is_over_soon_after_one_of_two_has_gone(call: Call, livekit: LiveKitServer) -> None:
    call.media[1].close()
    for device in call.devices:
        ended = device.inbox.take("call-ended", callId=call.record["id"], within_s=RIGHT_S)
        assert ended["reason"] == "left"
    assert call.media[0].wait_until_out() == "ROOM_DELETED"


def test_livekit_reports_who_comes_and_goes_and_is_believed(call: Call, livekit: LiveKitServer) -> None:
    read(call.ask(call.people[0], "end"), dict[str, Any])
    for media in call.media:
        media.wait_until_out()
    about = livekit.webhooks(call.record["livekitRoomName"], until="room_finished")
    assert {"participant_joined", "participant_left", "room_finished"} <= {
        report["event"] for report in about
    }
    assert {report["status"] for report in about} == {"200 OK"}


def test_who_is_removed_from_the_room_is_sent_away_and_cannot_come_back(
    platform: Platform, clients: MediaClients, device: Opener
) -> None:
    call = Call(platform, clients, device, "ann", "bob", "cleo", type="audio")
    removed = platform.rest.request("DELETE", f"/chat/rooms/{call.room_id}/participants/{call.people[1].id}")
    assert removed.status_code == 200, removed.text
    assert call.media[1].wait_until_out(within_s=5) == "PARTICIPANT_REMOVED"
    for _ in range(2):
        back = come_back(clients, call.url, call.tokens[1])
        if back is not None:
            assert back.wait_until_out(within_s=5) == "PARTICIPANT_REMOVED"
    assert [media.reason for media in (call.media[0], call.media[2])] == [None, None]


def come_back(clients: MediaClients, url: str, token: str) -> MediaClient | None:
    """Into the room, if only for a moment; None when not even that."""
    try:
        return clients.join(url, token)
    except NotLetIn:
        return None


class TestWhoIsNotLetIn:
    def join(self, clients: MediaClients, call: Call, token: str) -> None:
        with pytest.raises(NotLetIn):
            clients.join(call.url, token)

    def test_a_token_that_somebody_else_has_signed(self, clients: MediaClients, call: Call) -> None:
        grants = VideoGrants(room_join=True, room=call.record["livekitRoomName"])
        forged = AccessToken(KEY, "x" * 32).with_identity("eve").with_grants(grants)
        self.join(clients, call, forged.to_jwt())

    def test_a_token_that_has_expired(self, clients: MediaClients, call: Call) -> None:
        grants = VideoGrants(room_join=True, room=call.record["livekitRoomName"])
        late = AccessToken(KEY, SECRET).with_identity("eve").with_grants(grants)
        self.join(clients, call, late.with_ttl(timedelta(minutes=-2)).to_jwt())

    def test_a_token_of_a_call_that_is_over(self, clients: MediaClients, call: Call) -> None:
        read(call.ask(call.people[0], "end"), dict[str, Any])
        for media in call.media:
            media.wait_until_out()
        self.join(clients, call, call.tokens[0])
