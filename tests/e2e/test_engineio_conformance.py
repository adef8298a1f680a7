"""Appendix C, Engine.IO: handshakes and messages, on a bare echo, under a bare Socket.IO, and on the gateway itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from tests.support.engine import SEPARATOR, Peer, Polling, ends, in_parallel
from tests.support.raw import BINARY, TEXT, Connection, HandshakeRefused, WebSocket


@pytest.fixture
def polling(peer: Peer) -> Iterator[Polling]:
    polling = peer.polling()
    yield polling
    polling.close()


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

        assert peer.ask(method, f"{peer.path}?{query}", body).status == 400

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


def test_the_handshake_is_json_and_nothing_else(peer: Peer) -> None:
    answer = peer.ask("GET", peer.target())

    assert answer.headers["content-type"].lower().startswith("text/plain")
    assert json.loads(answer.text[1:])
