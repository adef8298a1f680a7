"""Long-polling on whatever node it comes to, over real connections: the session's own node answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx2
import msgspec
import pytest
import trio
import trio.testing

from gateway.delivery.timers import Wheel
from gateway.net.door import Door
from gateway.net.engine import EngineSession, EngineSessions, EngineSettings
from gateway.net.multiplexer import Multiplexer
from gateway.net.polling import EngineEndpoint
from gateway.net.relay import NODE_ID_CHARS, Relay
from gateway.net.stream import PlainStream
from gateway.net.websocket import WebSockets
from gateway.wire.prepared import prepare_text
from tests.net.doors import HTTP, UPGRADE, request, route
from tests.net.engines import Upper, packet

PATH = "/engine.io/"
WAIT_S = 5.0
WRITE_S = 0.5


class Node:
    """One of several that serve one endpoint, listening on a port of its own."""

    def __init__(self, name: str, *, wheel: Wheel, multiplexer: Multiplexer, others: dict[str, Node]) -> None:
        self.id = name * NODE_ID_CHARS
        self.port = 0
        self.uppers: list[Upper] = []
        self._others = others
        self.sessions = EngineSessions(
            settings=EngineSettings(
                ping_interval_ms=25_000, ping_timeout_ms=20_000, message_bytes=10_000, outbox_bytes=100_000
            ),
            wheel=wheel,
            accept=self._accept,
            node_id=self.id,
        )
        self.relay = Relay(
            EngineEndpoint(self.sessions), node_id=self.id, address_of=self._address_of, answer_s=50
        )
        self.door = Door(
            route=route,
            endpoints={PATH: self.relay},
            websockets=WebSockets(
                multiplexer=multiplexer,
                wheel=wheel,
                message_bytes=10_000,
                fragments=16,
                close_s=2,
                write_s=20,
                deflate=False,
            ),
            web=None,
            http=msgspec.structs.replace(HTTP, write_s=WRITE_S),
            wheel=wheel,
            endpoint_bytes=10_000,
        )
        self.client = httpx2.AsyncClient(trust_env=False, timeout=WAIT_S)

    def _accept(self, session: EngineSession) -> Upper:
        self.uppers.append(Upper())
        return self.uppers[-1]

    def _address_of(self, node_id: str) -> tuple[str, int] | None:
        other = self._others.get(node_id)
        return None if other is None else ("127.0.0.1", other.port)

    async def listen(self, nursery: trio.Nursery) -> None:
        sock = trio.socket.socket()
        await sock.bind(("127.0.0.1", 0))
        sock.listen()
        self.port = sock.getsockname()[1]
        nursery.start_soon(self.door.run)
        nursery.start_soon(self._serve, sock, nursery)
        nursery.start_soon(self.relay.run)

    async def _serve(self, sock: trio.socket.SocketType, nursery: trio.Nursery) -> None:
        with sock:
            while True:
                accepted, _ = await sock.accept()
                nursery.start_soon(self._hold, PlainStream(accepted._sock))  # type: ignore[attr-defined]

    async def _hold(self, stream: PlainStream) -> None:
        await self.door.serve(stream, peer="127.0.0.1", secure=False)

    async def ask(
        self,
        method: str = "GET",
        sid: str | None = None,
        body: bytes = b"",
        *,
        headers: dict[str, str] | None = None,
    ) -> httpx2.Response:
        query = "EIO=4&transport=polling" + ("" if sid is None else f"&sid={sid}")
        url = f"http://127.0.0.1:{self.port}{PATH}?{query}"
        return await self.client.request(method, url, content=body, headers=headers)

    async def open(self) -> str:
        answer = await self.ask()
        sid: str = msgspec.json.decode(answer.content[1:])["sid"]
        return sid


@pytest.fixture
async def nodes(
    nursery: trio.Nursery, wheel: Wheel, multiplexer: Multiplexer
) -> AsyncIterator[tuple[Node, Node]]:
    known: dict[str, Node] = {}
    made = tuple(Node(name, wheel=wheel, multiplexer=multiplexer, others=known) for name in "ab")
    for node in made:
        known[node.id] = node
        await node.listen(nursery)
    await trio.testing.wait_all_tasks_blocked()
    yield made  # type: ignore[misc]
    for node in made:
        await node.client.aclose()


async def until(done: Callable[[], object]) -> None:
    """Let everything else run until it is so."""
    with trio.fail_after(WAIT_S):
        while not done():
            await trio.lowlevel.checkpoint()


async def test_a_sid_says_which_node_has_it(nodes: tuple[Node, Node]) -> None:
    here, _ = nodes

    assert (await here.open()).startswith(here.id)


async def test_polls_and_posts_are_answered_by_whatever_node_they_come_to(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    sid = await here.open()

    posted = await there.ask("POST", sid, b"4hello", headers={"Content-Type": "text/plain;charset=UTF-8"})
    session = here.sessions.get(sid)
    assert session is not None
    session.outbox.put(prepare_text("4grüß dich".encode()))
    polled = await there.ask("GET", sid)

    assert (posted.status_code, posted.content) == (200, b"ok")
    assert here.uppers[0].messages == ["hello"]
    assert polled.text == "4grüß dich"
    assert polled.headers["access-control-allow-origin"] == "*"
    assert polled.headers["cache-control"] == "no-store"
    assert there.relay.statistics() == {"relayed": 2}
    assert here.relay.statistics() == {"relayed": 0}


async def test_a_poll_waits_at_the_other_node(nodes: tuple[Node, Node], nursery: trio.Nursery) -> None:
    here, there = nodes
    sid = await here.open()
    session = here.sessions.get(sid)
    assert session is not None
    answers: list[bytes] = []

    async def poll() -> None:
        answers.append((await there.ask("GET", sid)).content)

    async with trio.open_nursery() as polls:
        polls.start_soon(poll)
        await until(lambda: session.poll_wakeup is not None)
        assert answers == []
        session.outbox.put(prepare_text(b"4late"))

    assert answers == [b"4late"]


async def test_a_client_that_leaves_its_poll_leaves_the_session(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    sid = await here.open()
    session = here.sessions.get(sid)
    assert session is not None
    async with trio.open_nursery() as polls:
        polls.start_soon(there.ask, "GET", sid)
        await until(lambda: session.poll_wakeup is not None)
        polls.cancel_scope.cancel()

    await until(lambda: here.uppers[0].reasons)
    assert here.uppers[0].reasons == ["transport close"]


async def upgrade(node: Node, sid: str) -> trio.SocketStream:
    """A WebSocket to this node, after its handshake."""
    stream = await trio.open_tcp_stream("127.0.0.1", node.port)
    await stream.send_all(request("GET", f"{PATH}?EIO=4&transport=websocket&sid={sid}", **UPGRADE))
    return stream


async def test_an_upgrade_is_joined_to_the_sessions_node(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    sid = await here.open()
    async with await upgrade(there, sid) as stream:
        received = b""
        with trio.fail_after(WAIT_S):
            while b"\r\n\r\n" not in received:
                received += await stream.receive_some()
            assert received.startswith(b"HTTP/1.1 101 ")
            await stream.send_all(packet("2probe"))
            while b"3probe" not in received:
                received += await stream.receive_some()
            await stream.send_all(packet("5") + packet("4over the websocket"))
            await until(lambda: here.uppers[0].messages)
            session = here.sessions.get(sid)
            assert session is not None
            session.outbox.put(prepare_text(b"4and back"))
            while b"4and back" not in received:
                received += await stream.receive_some()

    assert here.uppers[0].messages == ["over the websocket"]
    await until(lambda: here.uppers[0].reasons)


async def test_a_joined_websocket_ends_when_the_node_between_stops(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    sid = await here.open()
    async with await upgrade(there, sid) as stream:
        with trio.fail_after(WAIT_S):
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 101 ")
            there.door.stop()
            assert await stream.receive_some() == b""
            await there.door.wait_empty()


async def test_a_client_that_takes_nothing_holds_the_node_between_no_longer_than_a_write_may_take(
    nodes: tuple[Node, Node],
) -> None:
    here, there = nodes
    sid = await here.open()
    async with await upgrade(there, sid) as stream:
        received = b""
        with trio.fail_after(WAIT_S):
            while b"\r\n\r\n" not in received:
                received += await stream.receive_some()
            await stream.send_all(packet("2probe") + packet("5"))
            session = here.sessions.get(sid)
            assert session is not None
            await until(lambda: session.upgraded)
        with trio.fail_after(4 * WAIT_S):
            while not here.uppers[0].reasons:
                # As fast as it goes, until what the kernel keeps on the way is full.
                session.outbox.put(prepare_text(b"4" + b"x" * 50_000))
                with trio.move_on_after(WRITE_S / 5):
                    while session.outbox.size:
                        await trio.lowlevel.checkpoint()
            await there.door.wait_empty()


async def test_a_node_that_is_gone_has_no_sessions(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    closed = trio.socket.socket()
    await closed.bind(("127.0.0.1", 0))
    here.port = closed.getsockname()[1]
    closed.close()
    sid = here.id + "gone"

    polled = await there.ask("GET", sid)
    async with await upgrade(there, sid) as stream:
        upgraded = await stream.receive_some()

    assert (polled.status_code, polled.json()) == (400, {"code": 1, "message": "Session ID unknown"})
    assert upgraded.startswith(b"HTTP/1.1 400 ")


async def test_what_was_relayed_is_not_relayed_again(nodes: tuple[Node, Node]) -> None:
    here, there = nodes

    answer = await there.ask("GET", here.id + "x", headers={"X-Gateway-Relayed": "1"})

    assert (answer.status_code, there.relay.statistics()["relayed"]) == (400, 0)


async def test_a_sid_of_an_unknown_node_is_unknown(nodes: tuple[Node, Node]) -> None:
    _, there = nodes

    assert (await there.ask("GET", "nowhere")).status_code == 400
