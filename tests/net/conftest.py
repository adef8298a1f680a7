"""What most of these tests stand on: a running wheel and a running multiplexer, on a clock that moves by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trustme
from trio.testing import memory_stream_pair

from gateway.delivery.timers import Wheel
from gateway.net.engine import EngineSessions
from gateway.net.mailboxes import Workers
from gateway.net.multiplexer import Multiplexer
from gateway.net.native import Native
from tests.net.clock import let_time_jump
from tests.net.doors import Front
from tests.net.engines import Engine
from tests.net.fakes import Adopter, Pairs
from tests.net.lean import Pair, over
from tests.net.sockets import Application, Client, sessions_of

CLOSE_S = 2.0


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Real connections take real time.
    let_time_jump((item for item in items if item.path.name != "test_relay.py"), Path(__file__).parent)


@pytest.fixture
async def wheel(nursery: trio.Nursery) -> Wheel:
    wheel = Wheel()
    nursery.start_soon(wheel.run)
    return wheel


@pytest.fixture
async def multiplexer(nursery: trio.Nursery, wheel: Wheel, native: Native | None) -> Multiplexer:
    multiplexer = Multiplexer(wheel=wheel, close_s=CLOSE_S, native=native)
    await nursery.start(multiplexer.run)
    return multiplexer


@pytest.fixture
async def workers(nursery: trio.Nursery) -> Workers:
    workers = Workers()
    await nursery.start(workers.run)
    return workers


@pytest.fixture
def pairs() -> Iterator[Pairs]:
    pairs = Pairs()
    yield pairs
    pairs.close()


@pytest.fixture
def adopt(multiplexer: Multiplexer, pairs: Pairs) -> Adopter:
    return Adopter(multiplexer, pairs)


@pytest.fixture
def engine(wheel: Wheel, adopt: Adopter, nursery: trio.Nursery) -> Engine:
    return Engine(wheel, adopt, nursery)


@pytest.fixture
def front(nursery: trio.Nursery, wheel: Wheel, multiplexer: Multiplexer, pairs: Pairs) -> Front:
    return Front(nursery, wheel, multiplexer, pairs)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Who vouches for the certificates of these tests."""
    return trustme.CA()


@pytest.fixture
def pair(wheel: Wheel) -> Pair:
    """The server's connection, and the client's end of it."""
    server, client = memory_stream_pair()
    return over(server, wheel), client


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def sessions(wheel: Wheel, workers: Workers, application: Application) -> EngineSessions:
    return sessions_of(wheel, workers, application)


@pytest.fixture
def client(sessions: EngineSessions) -> Client:
    return Client(sessions)
