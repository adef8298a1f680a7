"""One gateway for all tests that need nothing special of it; each test brings users and rooms of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.support.devices import Clients, Device, Transports
from tests.support.engine import Peer
from tests.support.node import NodeClients
from tests.support.platform import Person, Platform
from tests.support.process import Gateway, Process
from tests.support.raw import Connection
from tests.support.sio import PythonClients
from tests.support.versions import upgrades

GRACE_S = 1.5  # long enough for a client to come back in on a loaded machine
OUTBOX_BYTES = 262_144
BRISK_PING_INTERVAL_MS, BRISK_PING_TIMEOUT_MS = 300, 200


def pytest_report_collectionfinish() -> str:
    found = upgrades()
    wanting = "" if len(found) > 1 else " (from the version before only where the sources' history is)"
    return f"upgrades of the gateway: {', '.join(map(str, found))}{wanting}"


Peers: TypeAlias = dict[str, Peer]
ENDPOINTS = ("engine.io echo", "socket.io echo", "gateway")


def end(gateway: Gateway) -> None:
    """Stop a server that a test file is done with: in order, and without having met an unexpected error."""
    code = gateway.stop()
    output = gateway.process.output
    _, error, trace = output.partition("Traceback")
    assert not error, trace[:8_000]
    assert code == 0, output[-3_000:]


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(
        tmp_path_factory.mktemp("gateway") / "data",
        settings={"presence": {"grace_s": GRACE_S}, "socket": {"outbox_bytes": OUTBOX_BYTES}},
    )
    keys = gateway.create_tenant("shared")
    gateway.start()
    gateway.data.with_suffix(".key").write_text(keys.api_key)
    yield gateway
    end(gateway)


@pytest.fixture(scope="session")
def platform(gateway: Gateway) -> Iterator[Platform]:
    """The backend of the tenant that tests share."""
    platform = Platform(gateway.url, gateway.data.with_suffix(".key").read_text())
    yield platform
    platform.close()


@pytest.fixture
def lone_platform(gateway: Gateway) -> Iterator[Platform]:
    """The backend of a tenant of its own, for what concerns a whole tenant."""
    platform = Platform(gateway.url, gateway.create_tenant("lone").api_key)
    yield platform
    platform.close()


@pytest.fixture(scope="session")
def python_clients() -> Iterator[PythonClients]:
    clients = PythonClients()
    yield clients
    clients.close()


@pytest.fixture(scope="session")
def node_clients() -> Iterator[NodeClients]:
    clients = NodeClients()
    yield clients
    clients.close()


@pytest.fixture(params=["python-socketio", "socket.io-client"])
def clients(request: pytest.FixtureRequest) -> Clients:
    """Both implementations of the client, one after the other."""
    name = "python_clients" if request.param == "python-socketio" else "node_clients"
    clients: Clients = request.getfixturevalue(name)
    return clients


class Opener:
    """Opens devices of people, and closes them at the end of the test."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._opened: list[Device] = []

    def __call__(self, person: Person, transports: Transports = ("websocket",)) -> Device:
        device = self._clients.connect(person.url, auth=person.auth, transports=transports)
        self._opened.append(device)
        return device

    def close(self) -> None:
        for device in self._opened:
            device.close()


@pytest.fixture
def device(python_clients: PythonClients) -> Iterator[Opener]:
    """Opens devices by python-socketio, over a WebSocket unless told otherwise."""
    opener = Opener(python_clients)
    yield opener
    opener.close()


@pytest.fixture
def any_device(clients: Clients) -> Iterator[Opener]:
    """Opens devices by each implementation of the client."""
    opener = Opener(clients)
    yield opener
    opener.close()


@pytest.fixture
def connection(gateway: Gateway) -> Iterator[Connection]:
    """A bare TCP connection to the shared gateway."""
    connection = Connection(gateway.url)
    yield connection
    connection.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Where a gateway of the test's own keeps its data."""
    return tmp_path / "data"


def conformance(*arguments: str) -> Process:
    """The conformance server, listening."""
    process = Process(["-m", "tests.support.conformance", "--port", "0", *arguments])
    try:
        process.wait_for_line("listening on")
    except BaseException:
        process.kill()
        raise
    return process


def endpoints(url: str, gateway: Platform, *, ping_interval_ms: int, ping_timeout_ms: int) -> Peers:
    """The two echoes of a conformance server and a gateway, by name."""

    def peer(url: str, path: str, connect: str) -> Peer:
        return Peer(
            url=url,
            path=path,
            connect=connect,
            ping_interval_ms=ping_interval_ms,
            ping_timeout_ms=ping_timeout_ms,
        )

    token = json.dumps(gateway.person("peer").auth)
    return {
        "engine.io echo": peer(url, "/engine.io/", ""),
        "socket.io echo": peer(url, "/socket.io/", "40"),
        "gateway": peer(gateway.url, "/socket.io/", f"40{token}"),
    }


@pytest.fixture(scope="session")
def peers(platform: Platform) -> Iterator[Peers]:
    """Everything that speaks Engine.IO, with the usual pings: none falls into a test."""
    process = conformance("--ping-interval-ms", "25000", "--ping-timeout-ms", "20000")
    url = process.wait_for_line(r"listening on (\S+)")[1]
    yield endpoints(url, platform, ping_interval_ms=25_000, ping_timeout_ms=20_000)
    process.kill()
    assert "Traceback" not in process.output, process.output


@pytest.fixture(scope="session")
def brisk_peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    """The same with pings every fraction of a second."""
    pings = {"ping_interval_ms": BRISK_PING_INTERVAL_MS, "ping_timeout_ms": BRISK_PING_TIMEOUT_MS}
    gateway = Gateway(tmp_path_factory.mktemp("brisk") / "data", settings={"socket": pings})
    keys = gateway.create_tenant()
    gateway.start()
    platform = Platform(gateway.url, keys.api_key)
    process = conformance(
        *("--ping-interval-ms", str(BRISK_PING_INTERVAL_MS)),
        *("--ping-timeout-ms", str(BRISK_PING_TIMEOUT_MS)),
    )
    url = process.wait_for_line(r"listening on (\S+)")[1]
    yield endpoints(url, platform, **pings)
    process.kill()
    platform.close()
    end(gateway)


@pytest.fixture(params=ENDPOINTS)
def peer(request: pytest.FixtureRequest, peers: Peers) -> Peer:
    """Every endpoint that speaks Engine.IO, one after the other."""
    return peers[request.param]


@pytest.fixture(params=ENDPOINTS)
def brisk_peer(request: pytest.FixtureRequest, brisk_peers: Peers) -> Peer:
    """As ``peer``, with pings every fraction of a second."""
    return brisk_peers[request.param]


@pytest.fixture
def echo(peers: Peers) -> Peer:
    """The endpoint where Engine.IO is all there is."""
    return peers["engine.io echo"]


@pytest.fixture
def brisk_echo(brisk_peers: Peers) -> Peer:
    """As ``echo``, with pings every fraction of a second."""
    return brisk_peers["engine.io echo"]
