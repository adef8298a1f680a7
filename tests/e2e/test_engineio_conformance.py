"""Appendix C, Engine.IO: on a bare echo, under a bare Socket.IO, and on the gateway itself."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.engine import SEPARATOR, Peer, Polling, ends
from tests.support.raw import BINARY, TEXT, Answer, Connection, HandshakeRefused, WebSocket


@pytest.fixture
def polling(peer: Peer) -> Iterator[Polling]:
    polling = peer.polling()
    yield polling
    polling.close()


def ask(peer: Peer, method: str, target: str, body: bytes | None = None) -> Answer:
    """One request on a connection of its own."""
    connection = Connection(peer.url)
    answer = connection.ask(method, target, body=body)
    connection.close()
    return answer


def in_parallel(*calls: Callable[[], Answer]) -> list[Answer]:
    """Each call in a thread of its own, started in this order; their answers in this order."""
    answers: dict[int, Answer] = {}

    def run(number: int, call: Callable[[], Answer]) -> None:
        answers[number] = call()

    threads = [threading.Thread(target=run, args=(number, call)) for number, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answers[number] for number in range(len(calls))]


class TestHandshake:
    def test_over_polling_it_offers_the_upgrade(self, polling: Polling) -> None:
        sid = polling.handshake.pop("sid")

        assert isinstance(sid, str)
        assert polling.handshake == {
            "upgrades": ["websocket"],
            "pingInterval": 25_000,
            "pingTimeout": 20_000,
            "maxPayload": 1_000_000,
        }

    def test_values_below_a_second_come_out_as_they_are(self, brisk_peer: Peer) -> None:
        socket, handshake = brisk_peer.open_websocket()
        socket.close()

        assert handshake["pingInterval"] == brisk_peer.ping_interval_ms == 300
        assert handshake["pingTimeout"] == brisk_peer.ping_timeout_ms == 200

    def test_over_a_websocket_it_offers_none(self, peer: Peer) -> None:
        socket, handshake = peer.open_websocket()
        socket.close()

        assert isinstance(handshake.pop("sid"), str)
        assert handshake == {
            "upgrades": [],
            "pingInterval": 25_000,
            "pingTimeout": 20_000,
            "maxPayload": 1_000_000,
        }

    def test_every_session_has_an_id_of_its_own(self, peer: Peer) -> None:
        opened = [peer.open_websocket() for _ in range(5)]
        for socket, _ in opened:
            socket.close()

        assert len({handshake["sid"] for _, handshake in opened}) == 5

    @pytest.mark.parametrize(
        ("method", "query"),
        [
            ("GET", "transport=polling"),
            ("GET", "EIO=abc&transport=polling"),
            ("GET", "EIO=3&transport=polling"),
            ("GET", "EIO=4"),
            ("GET", "EIO=4&transport=abc"),
            ("GET", "EIO=4&transport=websocket"),
            ("POST", "EIO=4&transport=polling"),
            ("PUT", "EIO=4&transport=polling"),
            ("DELETE", "EIO=4&transport=polling"),
            ("GET", "EIO=4&transport=polling&sid=unknown"),
            ("POST", "EIO=4&transport=polling&sid=unknown"),
            ("GET", ""),
        ],
    )
    def test_a_bad_request_is_400(self, peer: Peer, method: str, query: str) -> None:
        body = b"4hello" if method in {"POST", "PUT"} else None

        assert ask(peer, method, f"{peer.path}?{query}", body).status == 400

    @pytest.mark.parametrize(
        "query",
        [
            "transport=websocket",
            "EIO=abc&transport=websocket",
            "EIO=4",
            "EIO=4&transport=abc",
            "EIO=4&transport=websocket&sid=unknown",
        ],
    )
    def test_a_bad_upgrade_is_refused(self, peer: Peer, query: str) -> None:
        connection = Connection(peer.url)

        with pytest.raises(HandshakeRefused) as refused:
            WebSocket(connection, f"{peer.path}?{query}")

        connection.close()
        assert refused.value.answer.status == 400

    def test_answers_to_browsers_of_other_origins_may_be_read(self, peer: Peer) -> None:
        connection = Connection(peer.url)
        origin = {"Origin": "https://app.example.org"}

        answer = connection.ask("GET", peer.target(), headers=origin)
        preflight = connection.ask(
            "OPTIONS", peer.target(), headers={**origin, "Access-Control-Request-Method": "POST"}
        )
        connection.close()

        assert answer.headers["access-control-allow-origin"] in {"*", origin["Origin"]}
        assert preflight.status in {200, 204}
        assert "POST" in preflight.headers["access-control-allow-methods"]


class TestMessagesOverPolling:
    @pytest.mark.parametrize(
        "payload",
        [
            "4hello",
            "4",
            SEPARATOR.join(["4test1", "4test2", "4test3"]),
            f"4hello{SEPARATOR}bAQIDBA==",
            "4ünï 😀",
        ],
    )
    def test_what_is_posted_comes_back_in_one_poll(self, echo: Peer, payload: str) -> None:
        polling = echo.polling()

        answer = polling.post(payload)
        assert (answer.status, answer.body) == (200, b"ok")
        assert polling.poll().text == payload
        polling.close()

    def test_everything_queued_goes_out_in_one_poll(self, echo: Peer) -> None:
        polling = echo.polling()

        for number in range(5):
            polling.post(f"4{number}")

        assert polling.packets() == [f"4{number}" for number in range(5)]
        polling.close()

    def test_a_waiting_poll_is_answered_by_the_next_packet(self, echo: Peer) -> None:
        polling = echo.polling()

        waiting, _ = in_parallel(polling.poll, lambda: polling.post("4hello"))

        assert waiting.text == "4hello"
        polling.close()

    @pytest.mark.parametrize(
        "payload", ["abc", "", "9", f"4ok{SEPARATOR}x", "b%%%", "2", SEPARATOR, b"4\xff\xfe"]
    )
    def test_a_malformed_packet_is_refused_and_ends_the_session(self, polling: Polling, payload: str) -> None:
        assert polling.post(payload).status == 400

        assert polling.is_gone()


class TestMessagesOverAWebSocket:
    def test_text_comes_back_as_text_and_binary_as_binary(self, echo: Peer) -> None:
        socket, _ = echo.open_websocket()

        socket.send("4hello")
        assert socket.receive() == "4hello"
        socket.send(b"\1\2\3\4")
        assert socket.receive() == b"\1\2\3\4"
        socket.send("4")
        assert socket.receive() == "4"
        socket.close()

    def test_a_message_may_come_in_fragments(self, echo: Peer) -> None:
        socket, _ = echo.open_websocket()

        socket.send_frame(TEXT, b"4he", fin=False)
        socket.send_frame(0, b"llo")

        assert socket.receive() == "4hello"
        socket.close()

    @pytest.mark.parametrize("packet", ["abc", "", "9", "0{}", "2", "6", "5"])
    def test_a_malformed_or_misplaced_packet_closes_the_session(self, peer: Peer, packet: str) -> None:
        socket, _ = peer.open_websocket()

        socket.send(packet)

        ends(socket)
        socket.close()


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
        assert ask(peer, "GET", polling.target).status == 400
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


def test_a_burst_of_binary_messages_comes_back_complete(echo: Peer) -> None:
    socket, _ = echo.open_websocket()
    sent = [bytes([number]) * (number * 97) for number in range(100)]

    def write() -> None:
        for message in sent:
            socket.send_frame(BINARY, message)

    writer = threading.Thread(target=write)
    writer.start()
    received: list[str | bytes] = []
    while len(received) < len(sent):
        received.append(socket.receive())
    writer.join()
    socket.close()
    assert received == sent


def test_a_session_that_is_gone_is_gone_for_its_websocket_too(peer: Peer) -> None:
    polling = peer.polling()
    polling.post("1")
    polling.close()

    connection = Connection(peer.url)

    with pytest.raises(HandshakeRefused):
        WebSocket(connection, peer.target("websocket", polling.sid))

    connection.close()


def test_the_handshake_is_json_and_nothing_else(peer: Peer) -> None:
    answer = ask(peer, "GET", peer.target())

    assert answer.headers["content-type"].lower().startswith("text/plain")
    assert json.loads(answer.text[1:])
