"""WebSockets at the front door: the handshake, the way to the multiplexer, and refusals."""

from __future__ import annotations

import pytest
import trio

from tests.net.doors import (
    ACCEPT,
    API,
    HTTP,
    PAGE,
    Front,
    parse_answers,
    upgrade,
)
from tests.net.fakes import Recorder, parse_frames, settle
from tests.wire.client import masked


class TestUpgrade:
    async def test_the_connection_becomes_a_websocket_and_moves_to_the_multiplexer(
        self, front: Front
    ) -> None:
        peer = front.connect()
        peer.send(upgrade("/echo/"))
        await settle()
        (answer,) = parse_answers(peer.read())
        assert (answer.status, answer.headers["sec-websocket-accept"]) == (101, ACCEPT)
        assert (front.multiplexer.count, front.door.statistics()["connections"]) == (1, 0)
        assert front.door.load == 1
        peer.send(masked(0x81, b"hello"))
        await settle()
        assert peer.texts() == ["hello"]

    async def test_frames_right_behind_the_handshake_are_not_lost(self, front: Front) -> None:
        peer = front.connect()
        peer.send(upgrade("/echo/") + masked(0x81, b"one") + masked(0x81, b"two"))
        await settle()
        answer, rest = parse_answers(peer.read())
        assert answer.status == 101
        assert [frame.payload for frame in parse_frames(rest.body)] == [b"one", b"two"]

    async def test_it_may_follow_other_requests(self, front: Front) -> None:
        peer = front.connect()
        peer.send(API + PAGE + upgrade("/echo/"))
        await trio.sleep(1)
        assert [answer.status for answer in parse_answers(peer.read())] == [200, 200, 101]

    async def test_it_outlives_every_deadline_of_http(self, front: Front) -> None:
        peer = front.connect()
        peer.send(upgrade("/echo/"))
        await trio.sleep(HTTP.keep_alive_s * 3)
        peer.read()
        peer.send(masked(0x81, b"hello"))
        await settle()
        assert peer.texts() == ["hello"]

    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            (upgrade("/echo/?refuse"), 403),
            (upgrade("/elsewhere"), 404),
            (upgrade("/v1/users"), 404),
            (upgrade("/echo/", Sec_WebSocket_Key="short"), 400),
            (upgrade("/echo/").replace(b"GET", b"POST", 1), 405),
        ],
        ids=["policy", "elsewhere", "api", "key", "method"],
    )
    async def test_one_that_is_refused_is_told_so_and_the_connection_ends(
        self, front: Front, sent: bytes, status: int
    ) -> None:
        peer = front.connect()
        peer.send(sent)
        await trio.sleep(1)
        (answer,) = parse_answers(peer.read())
        assert (answer.status, peer.ended) == (status, True)
        assert front.endpoint.receivers == []

    async def test_a_client_of_another_version_is_told_which_one_is_spoken(self, front: Front) -> None:
        peer = front.connect()
        peer.send(upgrade("/echo/", Sec_WebSocket_Version="8"))
        await settle()
        (answer,) = parse_answers(peer.read())
        assert 400 <= answer.status < 500
        assert answer.headers["sec-websocket-version"] == "13"  # RFC 6455 4.2.2

    async def test_a_client_that_goes_before_the_answer_leaves_nothing_behind(self, front: Front) -> None:
        peer = front.connect()
        peer.send(upgrade("/echo/"))
        peer.close()
        await settle()
        assert [receiver.reasons for receiver in front.endpoint.receivers] != [[]]
        assert front.door.load == 0

    async def test_a_receiver_that_raises_at_once_ends_its_own_connection_only(self, front: Front) -> None:
        class Broken(Recorder):
            def text(self, message: str) -> None:
                raise RuntimeError("receiver")

        front.endpoint.receiver_class = Broken
        broken = front.connect()
        broken.send(upgrade("/echo/") + masked(0x81, b"boom"))
        await settle()
        front.endpoint.receiver_class = Recorder
        peer = front.connect()  # gets the descriptor that the broken one has left
        peer.send(upgrade("/echo/"))
        await settle()
        broken.read()
        broken.close()
        for receiver in front.endpoint.receivers[:1]:
            if receiver.link is not None:
                receiver.link.abort("late")
        peer.read()
        peer.send(masked(0x81, b"hello"))
        await settle()
        assert peer.texts() == ["hello"]
        assert front.door.load == 1
        assert front.endpoint.receivers[0].reasons == ["internal error"]
