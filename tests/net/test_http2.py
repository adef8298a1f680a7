"""HTTP/2 behind the door: the same API and pages, and no way to outstay a shutdown."""

from __future__ import annotations

import ssl

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import pytest
import trio
import trustme

from tests.net.doors import HTTP, Front
from tests.net.fakes import Pairs

LARGE = 3_000_000
PATIENCE_S = HTTP.keep_alive_s * 3


class Client:
    """An HTTP/2 client of one connection, which reads only when it is told to.

    Attributes:
        answers: by stream: status and body.
        ended: those that are complete.
        reset: why the server has ended those that it has.
    """

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self.stream = stream
        self.answers: dict[int, tuple[int, bytes]] = {}
        self.ended: set[int] = set()
        self.reset: dict[int, int] = {}
        self.closed = False
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self._connection = h2.connection.H2Connection(config)

    async def start(self, *, window: int = 65_535) -> None:
        await self.stream.do_handshake()
        assert self.stream.selected_alpn_protocol() == "h2"
        self._connection.local_settings = h2.settings.Settings(
            client=True, initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window}
        )
        self._connection.initiate_connection()
        self._connection.increment_flow_control_window(1 << 30)
        await self._flush()

    async def ask(self, method: str, path: str, body: bytes | None = None, *, ends: bool = True) -> int:
        stream_id: int = self._connection.get_next_available_stream_id()
        headers = [(":method", method), (":path", path), (":scheme", "https"), (":authority", "h")]
        self._connection.send_headers(stream_id, headers, end_stream=body is None)
        if body is not None:
            self._connection.send_data(stream_id, body, end_stream=ends)
        await self._flush()
        return stream_id

    async def go_on(self, stream_id: int, body: bytes) -> None:
        """Send more of a request that has not ended."""
        self._connection.send_data(stream_id, body)
        await self._flush()

    async def until_answered(self, *stream_ids: int) -> None:
        with trio.fail_after(PATIENCE_S):
            while not self.ended.issuperset(stream_ids):
                await self._read()

    async def until_closed(self) -> None:
        with trio.fail_after(PATIENCE_S):
            while not self.closed:
                await self._read()

    async def _read(self) -> None:
        try:
            data = await self.stream.receive_some(65_536)
        except trio.BrokenResourceError:
            data = b""
        if not data:
            assert not self.closed
            self.closed = True
            return
        for event in self._connection.receive_data(bytes(data)):
            if isinstance(event, h2.events.ResponseReceived):
                assert event.stream_id is not None
                self.answers[event.stream_id] = (_status(event), b"")
            elif isinstance(event, h2.events.DataReceived):
                assert event.stream_id is not None
                status, body = self.answers[event.stream_id]
                self.answers[event.stream_id] = (status, body + (event.data or b""))
            elif isinstance(event, h2.events.StreamEnded):
                assert event.stream_id is not None
                self.ended.add(event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                self.reset[event.stream_id or 0] = int(event.error_code or 0)
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.closed = True
        await self._flush()

    async def _flush(self) -> None:
        if data := self._connection.data_to_send():
            await self.stream.send_all(data)


def _status(event: h2.events.ResponseReceived) -> int:
    return next(int(value) for name, value in event.headers or [] if name in (":status", b":status"))


class Served:
    """A front door that serves TLS, and the nursery its connections run in."""

    def __init__(self, front: Front, pairs: Pairs, authority: trustme.CA, nursery: trio.Nursery) -> None:
        self.front = front
        self.connections = nursery
        self._pairs = pairs
        self._server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("h").configure_cert(self._server_tls)
        self._server_tls.set_alpn_protocols(["h2", "http/1.1"])
        self._client_tls = ssl.create_default_context()
        authority.configure_trust(self._client_tls)
        self._client_tls.set_alpn_protocols(["h2"])

    async def connect(self, *, window: int = 65_535) -> Client:
        server, peer = self._pairs()
        server_stream = trio.SSLStream(
            trio.SocketStream(trio.socket.from_stdlib_socket(server)),
            self._server_tls,
            server_side=True,
            https_compatible=True,
        )
        client_stream = trio.SSLStream(
            trio.SocketStream(trio.socket.from_stdlib_socket(peer.sock)),
            self._client_tls,
            server_hostname="h",
            https_compatible=True,
        )
        self.connections.start_soon(self._serve, server_stream)
        client = Client(client_stream)
        await client.start(window=window)
        return client

    async def _serve(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        await stream.do_handshake()
        await self.front.door.serve(stream, peer="192.0.2.1", secure=True)


@pytest.fixture
def served(front: Front, pairs: Pairs, authority: trustme.CA, nursery: trio.Nursery) -> Served:
    return Served(front, pairs, authority, nursery)


async def test_the_api_and_the_pages_answer_side_by_side(served: Served) -> None:
    client = await served.connect()
    api = await client.ask("POST", "/v1/a%2Fb?x", b"body")
    page = await client.ask("GET", "/healthz")
    missing = await client.ask("GET", "/no/such/page")
    await client.until_answered(api, page, missing)
    assert client.answers[api] == (200, b'{"method":"POST","path":"/v1/a%2Fb","body":"body"}')
    assert (client.answers[page][0], client.answers[missing][0]) == (200, 404)


async def test_a_body_that_is_too_large_is_413(served: Served) -> None:
    client = await served.connect()
    asked = await client.ask("POST", "/v1/x", b"x" * (HTTP.body_bytes + 1))
    await client.until_answered(asked)
    assert client.answers[asked][0] == 413


async def test_a_client_that_goes_on_sending_what_was_refused_is_told_to_stop_and_disturbs_nobody(
    served: Served,
) -> None:
    client = await served.connect()
    refused = await client.ask("POST", "/no/such/page", b"x", ends=False)
    await client.until_answered(refused)
    await client.go_on(refused, b"x")
    other = await client.ask("GET", "/healthz")
    await client.until_answered(other)
    assert (client.answers[refused][0], client.answers[other][0]) == (404, 200)
    assert client.reset == {refused: h2.errors.ErrorCodes.NO_ERROR}
    await client.until_answered(await client.ask("GET", "/healthz"))


async def test_an_idle_connection_is_closed_when_its_time_is_over(served: Served) -> None:
    client = await served.connect()
    await client.until_answered(await client.ask("GET", "/healthz"))
    await client.until_closed()
    assert trio.current_time() >= HTTP.keep_alive_s
    assert served.front.door.load == 0


async def test_an_idle_connection_ends_when_the_door_stops(served: Served) -> None:
    client = await served.connect()
    await client.until_answered(await client.ask("GET", "/healthz"))
    served.front.door.stop()
    with trio.move_on_after(HTTP.keep_alive_s / 2) as scope:
        await served.front.door.wait_empty()
    assert not scope.cancelled_caught


async def test_a_request_in_progress_is_answered_before_the_connection_ends(served: Served) -> None:
    client = await served.connect()
    asked = await client.ask("GET", "/v1/wait?5")
    await trio.sleep(1)
    served.front.door.stop()
    await client.until_answered(asked)
    assert client.answers[asked][0] == 200
    with trio.move_on_after(HTTP.keep_alive_s / 2) as scope:
        await served.front.door.wait_empty()
    assert not scope.cancelled_caught


async def test_a_client_that_does_not_read_is_given_up(served: Served) -> None:
    client = await served.connect(window=1 << 30)
    await client.ask("GET", f"/v1/large?{LARGE}")
    await trio.sleep(HTTP.write_s * 2 + 1)
    assert served.front.door.load == 0


async def test_a_client_that_does_not_read_does_not_hold_up_the_shutdown(served: Served) -> None:
    async with trio.open_nursery() as served.connections:
        client = await served.connect(window=1 << 30)
        await client.ask("GET", f"/v1/large?{LARGE}")
        await trio.sleep(1)
        before = trio.current_time()
        served.connections.cancel_scope.cancel()
    assert trio.current_time() - before <= 1


async def test_a_client_that_goes_away_leaves_nothing_behind(served: Served) -> None:
    client = await served.connect()
    await client.ask("GET", "/v1/wait?5")
    await trio.aclose_forcefully(client.stream)
    await trio.sleep(10)
    assert served.front.door.load == 0
