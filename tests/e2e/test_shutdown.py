"""Ctrl-C and SIGTERM end the process in order, with code 0 and in time, whatever clients do."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.engine import Peer, ends
from tests.support.node import NodeClients
from tests.support.platform import Platform
from tests.support.process import Gateway
from tests.support.raw import Connection, WebSocket
from tests.support.secured import Secured

DRAIN_S = 2.0

LONG_S = 120.0
"""What everything else may take by these gateways' settings: who waits for any of it is found out."""

SETTINGS = {
    "http": {"head_s": LONG_S, "body_s": LONG_S, "keep_alive_s": LONG_S, "write_s": LONG_S},
    "socket": {"connect_s": LONG_S, "close_s": LONG_S},
}

IN_TIME_S = DRAIN_S + 3.0
"""For the drain, for closing the store, and for the machine."""

AT_ONCE_S = 3.0
"""The same where there is nobody to wait for."""


class Running:
    """A gateway of the test's own, with a backend."""

    def __init__(self, data: Path, *, drain_s: float) -> None:
        self.gateway = Gateway(data, settings={**SETTINGS, "drain_s": drain_s})
        keys = self.gateway.create_tenant()
        self.gateway.start()
        self.platform = Platform(self.gateway.url, keys.api_key)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """How long it took, in seconds."""
        started = time.monotonic()
        code = self.gateway.stop(number, within_s=IN_TIME_S)
        assert code == 0, self.gateway.process.output
        assert "Traceback" not in self.gateway.process.output, self.gateway.process.output
        return time.monotonic() - started


@pytest.fixture
def drain_s() -> float:
    return DRAIN_S


@pytest.fixture
def running(data: Path, drain_s: float) -> Iterator[Running]:
    running = Running(data, drain_s=drain_s)
    yield running
    running.platform.close()
    running.gateway.kill()


@pytest.mark.parametrize("drain_s", [LONG_S])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_gateway_ends_at_once(running: Running, number: signal.Signals) -> None:
    assert running.stop(number) < AT_ONCE_S


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_connected_clients_do_not_hold_it_up_and_are_told_in_a_way_that_lets_them_return(
    running: Running, node_clients: NodeClients, number: signal.Signals
) -> None:
    ann = running.platform.person("ann")
    devices = [
        node_clients.connect(running.gateway.url, auth=ann.auth, transports=transports)
        for transports in (["websocket"], ["polling"], ["polling", "websocket"])
    ]

    running.stop(number)

    for device in devices:
        reason = device.inbox.take("@disconnected")["reason"]
        # A DISCONNECT packet would stop the published client for good; a restart must not (contract 4.8).
        assert reason in {"transport close", "transport error"}
        device.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_websocket_client_that_does_not_read_does_not_hold_it_up(
    running: Running, number: signal.Signals
) -> None:
    ann, stuck = running.platform.person("ann"), running.platform.person("stuck")
    room = running.platform.room(ann, stuck)
    connection = Connection(running.gateway.url, receive_bytes=4_096)
    socket = WebSocket(connection, "/socket.io/?EIO=4&transport=websocket")
    socket.send(f"40{json.dumps(stuck.auth)}")
    for _ in range(80):  # well over what the kernel takes, below where it would be cut off
        ann.send(room.id, "x" * 40_000)

    running.stop(number)

    connection.close()


def test_http_clients_that_do_not_read_do_not_hold_it_up(running: Running) -> None:
    """One at the lean loop, one at the pages: many answers asked for, none taken."""
    stuck = []
    for target in ("/v1/none", "/openapi.json"):
        connection = Connection(running.gateway.url, receive_bytes=4_096)
        writer = threading.Thread(
            target=_send_what_fits, args=(connection, connection.head("GET", target) * 20_000)
        )
        writer.start()
        stuck.append((connection, writer))
    probe = Connection(running.gateway.url)
    assert probe.ask("GET", "/healthz").status == 200

    running.stop()

    for connection, writer in stuck:
        connection.close()
        writer.join()
    probe.close()


def _send_what_fits(connection: Connection, data: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.send(data)


@pytest.mark.parametrize(
    "half",
    [
        b"",
        b"GET /v1/none HT",
        b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
        b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
    ],
    ids=["nothing", "half a head", "half a body", "half a body for a page"],
)
def test_half_a_request_does_not_hold_it_up(running: Running, half: bytes) -> None:
    connection = Connection(running.gateway.url)
    connection.send(half)
    other = Connection(running.gateway.url)
    assert other.ask("GET", "/healthz").status == 200

    running.stop()

    connection.close()
    other.close()


def test_a_half_done_upgrade_and_half_a_frame_do_not_hold_it_up(running: Running) -> None:
    ann = running.platform.person("ann")
    peer = Peer(url=running.gateway.url, path="/socket.io/", connect=f"40{json.dumps(ann.auth)}")
    polling = peer.polling()
    probing = peer.websocket(polling.sid)
    probing.send("2probe")
    assert probing.receive() == "3probe"
    halfway = peer.connected_websocket()
    halfway.connection.send(b"\x81\xfe\x00")

    running.stop()

    ends(probing)
    polling.close()
    probing.close()
    halfway.close()


def test_tls_clients_that_do_not_read_or_say_nothing_do_not_hold_it_up(tmp_path: Path) -> None:
    secured = Secured(tmp_path, **SETTINGS, drain_s=DRAIN_S)
    ann = secured.platform.person("ann")
    room = secured.platform.room(ann)
    stuck = WebSocket(secured.connect(receive_bytes=4_096), "/socket.io/?EIO=4&transport=websocket")
    stuck.send(f"40{json.dumps(ann.auth)}")
    for _ in range(80):
        ann.send(room.id, "x" * 40_000)
    silent = Connection(secured.gateway.url)  # not even a handshake
    with httpx2.Client(
        base_url=secured.gateway.url, http2=True, verify=secured.trust(), trust_env=False
    ) as multiplexed:
        assert multiplexed.get("/healthz").http_version == "HTTP/2"
        secured.platform.close()

        secured.gateway.process.signal(signal.SIGTERM)
        code = secured.gateway.process.wait(within_s=IN_TIME_S)

    assert code == 0, secured.gateway.process.output
    assert "Traceback" not in secured.gateway.process.output, secured.gateway.process.output
    silent.close()
    stuck.close()


def test_a_second_ctrl_c_is_obeyed_too(running: Running) -> None:
    running.gateway.process.signal(signal.SIGINT)
    with contextlib.suppress(ProcessLookupError):
        running.gateway.process.signal(signal.SIGINT)

    running.gateway.process.wait(within_s=IN_TIME_S)


def test_the_port_is_free_for_the_next_start_at_once(running: Running, node_clients: NodeClients) -> None:
    ann = running.platform.person("ann")
    device = node_clients.connect(running.gateway.url, auth=ann.auth)

    running.stop()
    running.gateway.start()

    device.close()
    assert running.platform.rest.get("/chat/rooms").status_code == 200
