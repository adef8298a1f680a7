"""The whole node in this process, told to stop by a signal: everybody is told, and nobody can hold it up."""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gateway.app import Node
from gateway.config import Config, Log, Socket
from gateway.delivery.bus_memory import Exchange
from gateway.net.engine import State
from gateway.serving import Started, serve
from gateway.store.engine import open_store
from tests.net.doors import parse_answers, request, upgrade
from tests.net.fakes import CLOSE, Peer, parse_frames
from tests.wire.client import masked

DRAIN_S = 10.0
CLOSE_S = 3.0


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """A node sets up the garbage collector of its process, which is ours."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


class Running:
    """A node that serves, and what it has said.

    Attributes:
        stopped_after: seconds from the signal to the end; None while it runs.
    """

    def __init__(self, data: Path) -> None:
        self._config = Config(
            host="127.0.0.1",
            port=0,
            data=data,
            drain_s=DRAIN_S,
            socket=Socket(close_s=CLOSE_S, ping_interval_ms=3_600_000),
            log=Log(level="error"),
        )
        self._listening = trio.Event()
        self._stopped = trio.Event()
        self._signalled_at = 0.0
        self._sockets: list[socket.socket] = []
        self._address = ("", 0)
        self.stopped_after: float | None = None

    async def run(self) -> None:
        def started(started: Started) -> None:
            self._address = (started.host, started.port)
            self._listening.set()

        try:
            await serve(self._config, started=started)
            self.stopped_after = trio.current_time() - self._signalled_at
        finally:
            self._stopped.set()

    async def connect(self, *, receive_bytes: int | None = None) -> Peer:
        await self._listening.wait()
        sock = socket.socket()
        self._sockets.append(sock)
        if receive_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.connect(self._address)
        return Peer(sock)

    async def websocket(self) -> Peer:
        peer = await self.connect()
        peer.send(upgrade("/socket.io/?EIO=4&transport=websocket"))
        await arrived(peer)
        answer, opened = parse_answers(peer.read())
        assert answer.status == 101
        assert parse_frames(opened.body)[0].payload.startswith(b"0{")
        return peer

    def terminate(self) -> None:
        self._signalled_at = trio.current_time()
        os.kill(os.getpid(), signal.SIGTERM)

    async def wait_stopped(self) -> None:
        await self._stopped.wait()

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()


async def arrived(peer: Peer) -> None:
    """Wait until something has come, and everything that comes with it."""
    await trio.lowlevel.wait_readable(peer.sock)
    await trio.sleep(0.05)


@pytest.fixture
async def node(tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[Running]:
    running = Running(tmp_path)
    nursery.start_soon(running.run)
    yield running
    running.close()


async def test_clients_are_told_in_the_way_of_their_transport(node: Running) -> None:
    websocket = await node.websocket()
    polling, idle = await node.connect(), await node.connect()
    idle.send(request("GET", "/healthz"))
    polling.send(request("GET", "/socket.io/?EIO=4&transport=polling"))
    await arrived(polling)
    sid = msgspec.json.decode(parse_answers(polling.read())[0].body[1:])["sid"]
    polling.send(request("GET", f"/socket.io/?EIO=4&transport=polling&sid={sid}"))
    await arrived(idle)
    idle.read()
    node.terminate()
    await arrived(websocket)
    (frame,) = websocket.frames()
    assert (frame.opcode, frame.code) == (CLOSE, 1001)
    websocket.send(masked(0x88, b"\x03\xe9"))
    websocket.close()
    await node.wait_stopped()
    (answer,) = parse_answers(polling.read())
    assert (answer.body, answer.headers["connection"], polling.ended) == (b"1", "close", True)
    assert (idle.read(), idle.ended) == (b"", True)
    assert node.stopped_after is not None
    assert node.stopped_after < 1


async def test_who_comes_while_the_others_are_told_to_go_is_told_too(tmp_path: Path) -> None:
    config = Config(data=tmp_path)
    async with open_store(config.database, settings=config.store) as store:
        node = Node(config, store, bus=Exchange().node(), url="http://127.0.0.1", file_key=b"k" * 32)
        first = node.sessions.open(State.POLLING)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(node.say_goodbye, over_s=0.1))
            await wait_all_tasks_blocked()
            late = node.sessions.open(State.POLLING)
        assert (first.state, late.state) == (State.CLOSED, State.CLOSED)


async def test_nobody_is_let_in_any_more(node: Running) -> None:
    holding = await node.connect()
    holding.send(request("POST", "/v1/x", Content_Length="5") + b"he")
    await trio.sleep(0.1)
    node.terminate()
    await trio.sleep(0.1)
    with pytest.raises(ConnectionRefusedError):
        await node.connect()
    await node.wait_stopped()


async def test_a_websocket_that_does_not_answer_holds_it_up_no_longer_than_a_close_may_take(
    node: Running,
) -> None:
    await node.websocket()
    node.terminate()
    await node.wait_stopped()
    assert node.stopped_after == pytest.approx(CLOSE_S, abs=0.2)


@pytest.mark.parametrize("begun", [b"GET /v1/x", request("POST", "/v1/x", Content_Length="5") + b"he"])
async def test_a_request_that_does_not_come_to_its_end_holds_it_up_no_longer_than_the_drain(
    node: Running, begun: bytes
) -> None:
    peer = await node.connect()
    peer.send(begun)
    await trio.sleep(0.1)
    node.terminate()
    await node.wait_stopped()
    assert node.stopped_after is not None
    assert node.stopped_after <= DRAIN_S + 0.2


@pytest.mark.parametrize("target", ["/openapi.json", "/v1/nothing"])
async def test_a_client_that_does_not_read_holds_it_up_no_longer_than_the_drain(
    node: Running, target: str
) -> None:
    peer = await node.connect(receive_bytes=1_024)
    with trio.move_on_after(1):
        while True:  # until the server waits for us to read
            await trio.lowlevel.wait_writable(peer.sock)
            peer.sock.send(request("GET", target) * 10)
    node.terminate()
    await node.wait_stopped()
    assert node.stopped_after is not None
    assert node.stopped_after <= DRAIN_S + 0.2


async def test_a_second_signal_does_not_wait(node: Running) -> None:
    peer = await node.connect()
    peer.send(request("POST", "/v1/x", Content_Length="5") + b"he")
    await trio.sleep(0.1)
    node.terminate()
    await trio.sleep(1)
    assert node.stopped_after is None
    os.kill(os.getpid(), signal.SIGTERM)
    await node.wait_stopped()
    assert node.stopped_after == pytest.approx(1, abs=0.2)
