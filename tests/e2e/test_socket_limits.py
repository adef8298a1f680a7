"""Sizes and silence: on a server whose bounds are small."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import NoReturn

import pytest

from tests.e2e.conftest import Opener, end
from tests.support.engine import Peer, ends, next_packet
from tests.support.inbox import PATIENCE_S
from tests.support.platform import Person, Platform
from tests.support.process import Gateway
from tests.support.raw import TEXT, Closed, Connection, WebSocket, frame
from tests.support.stopwatch import Stopwatch

MESSAGE_BYTES = 50_000
PING_INTERVAL_MS, PING_TIMEOUT_MS = 300, 2_000


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    gateway = Gateway(
        tmp_path_factory.mktemp("bounded") / "data",
        settings={
            "presence": {"grace_s": 0.2},
            "socket": {
                "message_bytes": MESSAGE_BYTES,
                "ping_interval_ms": PING_INTERVAL_MS,
                "ping_timeout_ms": PING_TIMEOUT_MS,
                "connect_s": 1.0,
            },
        },
    )
    keys = gateway.create_tenant()
    gateway.start()
    platform = Platform(gateway.url, keys.api_key)
    yield platform
    platform.close()
    end(gateway)


def peer(person: Person) -> Peer:
    return Peer(url=person.url, path="/socket.io/", connect=f"40{json.dumps(person.auth)}")


def test_the_handshake_tells_the_limits(bounded: Platform) -> None:
    socket, handshake = Peer(url=bounded.url, path="/socket.io/").open_websocket()
    socket.close()

    assert handshake["maxPayload"] == MESSAGE_BYTES
    assert handshake["pingInterval"] == PING_INTERVAL_MS
    assert handshake["pingTimeout"] == PING_TIMEOUT_MS


@pytest.mark.parametrize("pieces", [1, 4], ids=["in one frame", "in fragments"])
def test_a_websocket_message_over_the_limit_is_closed_with_1009(bounded: Platform, pieces: int) -> None:
    socket = peer(bounded.person("ann")).connected_websocket()
    message = b'42["typing","' + b"x" * MESSAGE_BYTES + b'"]'

    step = len(message) // pieces + 1
    for start in range(0, len(message), step):
        opcode = TEXT if start == 0 else 0
        socket.send_frame(opcode, message[start : start + step], fin=start + step >= len(message))

    assert socket.close_frame().code == 1009
    socket.close()


def test_a_websocket_message_of_exactly_the_limit_is_taken(bounded: Platform) -> None:
    socket = peer(bounded.person("ann")).connected_websocket()
    head, tail = '421["no-such-event","', '"]'

    socket.send(head + "x" * (MESSAGE_BYTES - len(head) - len(tail)) + tail)

    while not next_packet(socket).startswith("431["):
        pass
    socket.close()


def test_a_polling_payload_over_the_limit_is_413_and_ends_nothing_else(bounded: Platform) -> None:
    ann = bounded.person("ann")
    polling, bystander = peer(ann).polling(), peer(ann).polling()

    assert polling.post(b"4" + b"x" * MESSAGE_BYTES).status == 413

    assert bystander.post(peer(ann).connect).status == 200
    assert bystander.packets()[0].startswith("40{")
    polling.close()
    bystander.close()


def test_the_server_pings_and_an_answering_client_stays(bounded: Platform) -> None:
    socket = peer(bounded.person("ann")).connected_websocket()
    started = time.monotonic()
    rounds = 4

    for _ in range(rounds):
        while socket.receive() != "2":
            pass
        socket.send("3")
    socket.close()

    assert time.monotonic() - started >= (rounds - 1) * PING_INTERVAL_MS / 1000 * 0.9


def test_a_client_that_answers_no_ping_is_closed_and_goes_offline(bounded: Platform, device: Opener) -> None:
    ann, bob = bounded.person("ann"), bounded.person("bob")
    of_bob = device(bob)
    silent = peer(ann).connected_websocket()
    of_bob.inbox.take("tenant-presence", userId=ann.id, online=True)
    started = time.monotonic()

    ends(silent)

    assert time.monotonic() - started >= PING_TIMEOUT_MS / 1000 * 0.9
    of_bob.inbox.take("tenant-presence", userId=ann.id, online=False)
    silent.close()


def answer_pings(socket: WebSocket) -> NoReturn:
    """Stay alive as an Engine.IO client, and be nothing more, until the server closes."""
    while True:
        if socket.receive() == "2":
            socket.send("3")


def test_a_client_that_never_sends_connect_is_closed(bounded: Platform) -> None:
    socket, _ = Peer(url=bounded.url, path="/socket.io/").open_websocket()
    started = time.monotonic()

    with pytest.raises(Closed):
        answer_pings(socket)

    assert 0.9 <= time.monotonic() - started < 3
    socket.close()


def test_a_client_that_vanishes_without_a_word_is_noticed_at_once(bounded: Platform, device: Opener) -> None:
    ann, bob = bounded.person("ann"), bounded.person("bob")
    of_bob = device(bob)
    for end_it in (Connection.close, Connection.reset):
        socket = peer(ann).connected_websocket()
        of_bob.inbox.take("tenant-presence", userId=ann.id, online=True)

        end_it(socket.connection)

        watch = Stopwatch()
        of_bob.inbox.take("tenant-presence", userId=ann.id, online=False)
        assert watch.seconds() < PING_TIMEOUT_MS / 1000  # well before a ping could time out


def test_a_burst_of_events_from_one_client_is_answered_completely_and_in_order(bounded: Platform) -> None:
    """More than fits the inbox at once: the server stops reading, and loses nothing."""
    ann = bounded.person("ann")
    room = bounded.room(ann)
    socket = peer(ann).connected_websocket()
    count = 1_000

    burst = b"".join(frame(TEXT, f'42{number}["leave-room","{room.id}"]'.encode()) for number in range(count))
    threading.Thread(target=socket.connection.send, args=(burst,)).start()

    acks: list[int] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(acks) < count and time.monotonic() < deadline:
        packet = next_packet(socket)
        if packet.startswith("43"):
            acks.append(int(packet[2 : packet.index("[")]))
    socket.close()
    assert acks == list(range(count))
