"""One gateway for all tests that need nothing special of it; each test brings users and rooms of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.devices import Clients, Device, Transports
from tests.support.node import NodeClients
from tests.support.platform import Person, Platform
from tests.support.process import Gateway
from tests.support.raw import Connection
from tests.support.sio import PythonClients

GRACE_S = 1.5  # long enough for a client to come back in on a loaded machine
OUTBOX_BYTES = 262_144


def end(gateway: Gateway) -> None:
    """Stop a server that a test file is done with: in order, and without having met an unexpected error."""
    code = gateway.stop()
    assert "Traceback" not in gateway.process.output, gateway.process.output
    assert code == 0, gateway.process.output


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
