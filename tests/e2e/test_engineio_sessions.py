"""Appendix C, Engine.IO: how a session is kept alive, ends, and changes its transport."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.engine import Peer, Polling, ends, in_parallel
from tests.support.raw import Connection, HandshakeRefused, WebSocket


@pytest.fixture
def polling(peer: Peer) -> Iterator[Polling]:
    polling = peer.polling()
    yield polling
    polling.close()


class TestHeartbeat:
    def test_a_polling_client_that_answers_pings_stays(self, brisk_peer: Peer) -> None:
        polling = brisk_peer.polling()

        for _ in range(3):
            assert polling.packets() == ["2"]
            assert polling.post("3").status == 200

        polling.close()

    def test_a_websocket_client_that_answers_pings_stays(self, brisk_echo: Peer) -> None:
        socket, _ = brisk_echo.open_websocket()

        for _ in range(3):
            assert socket.receive() == "2"
            socket.send("3")

        socket.send("4still here")
        assert socket.receive() == "4still here"
        socket.close()

    def test_pings_come_at_the_interval(self, brisk_echo: Peer) -> None:
        opened = time.monotonic()
        socket, _ = brisk_echo.open_websocket()

        assert socket.receive() == "2"

        assert time.monotonic() - opened >= brisk_echo.ping_interval_ms / 1_000
        socket.close()

    def test_a_poll_at_exactly_the_age_of_the_timeout_is_refused(self, brisk_peer: Peer) -> None:
        polling = brisk_peer.polling()

        # There is nothing to wait for but the passing of the session's own time.
        threading.Event().wait((brisk_peer.ping_interval_ms + brisk_peer.ping_timeout_ms) / 1_000)

        assert polling.poll().status == 400
        polling.close()

    def test_a_websocket_without_a_pong_is_closed_at_that_age(self, brisk_peer: Peer) -> None:
        opened = time.monotonic()
        socket, _ = brisk_peer.open_websocket()

        ends(socket)

        assert time.monotonic() - opened >= (brisk_peer.ping_interval_ms + brisk_peer.ping_timeout_ms) / 1_000
        socket.close()


class TestClose:
    def test_a_second_poll_ends_the_session_and_releases_the_first(self, polling: Polling) -> None:
        """The first is let go with a close packet, the second refused."""
        second = Connection(polling.peer.url)
        polling.polls.request("GET", polling.target)
        one = second.ask("GET", polling.target)
        other = polling.polls.answer()
        second.close()

        # Which of two requests is taken first is not the client's to say.
        released, refused = sorted([one, other], key=lambda answer: answer.status)
        assert (released.status, released.text) == (200, "1")
        assert refused.status == 400
        assert polling.is_gone()

    def test_a_poll_whose_client_goes_away_ends_the_session(self, polling: Polling) -> None:
        polling.polls.request("GET", polling.target)
        polling.polls.close()

        # Long before a ping could time out.
        deadline = time.monotonic() + 5
        while polling.post("3").status != 400:
            assert time.monotonic() < deadline, "the session lives on"

    def test_a_posted_close_releases_the_waiting_poll(self, polling: Polling) -> None:
        released, posted = in_parallel(polling.poll, lambda: polling.post("1"))

        assert (released.status, released.text) == (200, "6")
        assert (posted.status, posted.text) == (200, "ok")
        assert polling.is_gone()
        assert polling.post("4hello").status == 400

    def test_a_close_packet_over_a_websocket_closes_it(self, peer: Peer) -> None:
        socket, _ = peer.open_websocket()

        socket.send("1")

        ends(socket)
        socket.close()

    def test_a_websocket_close_frame_is_echoed(self, peer: Peer) -> None:
        socket, _ = peer.open_websocket()

        socket.send_frame(0x8, (1000).to_bytes(2) + b"bye")

        assert socket.close_frame().code == 1000
        socket.wait_closed()
        socket.close()


class TestUpgrade:
    def probe(self, polling: Polling) -> WebSocket:
        socket = polling.peer.websocket(polling.sid)
        socket.send("2probe")
        assert socket.receive() == "3probe"
        return socket

    def test_it_moves_the_session_from_polling_to_the_websocket(self, echo: Peer) -> None:
        polling = echo.polling()
        socket = self.probe(polling)

        assert polling.poll().text == "6"
        socket.send("5")
        socket.send("4hello")

        assert socket.receive() == "4hello"
        socket.close()
        polling.close()

    def test_a_poll_that_waits_is_released_by_the_probe(self, peer: Peer) -> None:
        polling = peer.polling()
        polling.polls.request("GET", polling.target)

        socket = self.probe(polling)

        assert polling.polls.answer().text == "6"
        socket.send("5")
        assert peer.ask("GET", polling.target).status == 400
        socket.close()
        polling.close()

    def test_afterwards_polls_and_posts_are_refused_and_the_websocket_lives(self, echo: Peer) -> None:
        polling = echo.polling()
        socket = self.probe(polling)
        socket.send("5")
        socket.send("4moved")
        assert socket.receive() == "4moved"

        assert polling.poll().status == 400
        assert polling.post("4hello").status == 400

        socket.send("4hello")
        assert socket.receive() == "4hello"
        socket.close()
        polling.close()

    def test_frames_that_follow_at_once_are_in_order_with_the_probe(self, echo: Peer) -> None:
        """As the official suite does it: nothing is waited for between ``2probe``, ``5`` and a poll."""
        for _ in range(20):
            polling = echo.polling()
            socket = echo.websocket(polling.sid)

            socket.send("2probe")
            socket.send("5")

            assert polling.poll().status == 400
            assert socket.receive() == "3probe"
            socket.send("4hello")
            assert socket.receive() == "4hello"
            socket.close()
            polling.close()

    def test_a_second_websocket_is_closed_and_the_first_stays(self, echo: Peer) -> None:
        polling = echo.polling()
        socket = self.probe(polling)
        socket.send("5")

        second = echo.websocket(polling.sid)
        ends(second)

        socket.send("4hello")
        assert socket.receive() == "4hello"
        for one in (second, socket):
            one.close()
        polling.close()

    def test_a_probe_that_is_given_up_leaves_polling_as_it_was(self, echo: Peer) -> None:
        polling = echo.polling()
        self.probe(polling).close()

        # The released or waiting poll may say 6 first; then the session goes on as if nothing had been.
        polling.post("4hello")
        packets: list[str] = []
        while "4hello" not in packets:
            packets += polling.packets()
        socket = self.probe(polling)
        socket.send("5")
        socket.send("4moved")
        assert socket.receive() == "4moved"
        socket.close()
        polling.close()

    @pytest.mark.parametrize("packet", ["5", "2", "4hello", "2other", "nonsense"])
    def test_a_websocket_that_does_not_probe_is_closed_and_polling_goes_on(
        self, echo: Peer, packet: str
    ) -> None:
        polling = echo.polling()
        socket = echo.websocket(polling.sid)

        socket.send(packet)
        ends(socket)

        assert polling.post("4hello").status == 200
        assert polling.packets() == ["4hello"]
        socket.close()
        polling.close()

    def test_what_was_queued_before_comes_after_over_the_websocket_or_the_last_poll(self, echo: Peer) -> None:
        """Nothing is lost or doubled, whichever of the two carries it."""
        polling = echo.polling()
        sent = [f"4{number}" for number in range(20)]
        for packet in sent[:10]:
            polling.post(packet)

        socket = self.probe(polling)
        received = [packet for packet in polling.packets() if packet != "6"]
        socket.send("5")
        for packet in sent[10:]:
            socket.send(packet)
        while len(received) < len(sent):
            received.append(str(socket.receive()))

        assert received == sent
        socket.close()
        polling.close()


def test_a_session_that_is_gone_is_gone_for_its_websocket_too(peer: Peer) -> None:
    polling = peer.polling()
    polling.post("1")
    polling.close()

    connection = Connection(peer.url)

    with pytest.raises(HandshakeRefused):
        WebSocket(connection, peer.target("websocket", polling.sid))

    connection.close()
