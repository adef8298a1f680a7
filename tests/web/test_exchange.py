"""However early an answer is, its connection can be used again, or is closed: never left between the two."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h11
import pytest
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from quart_trio import QuartTrio
from trio.testing import MockClock

from gateway.web.exchange import LINGER_S
from tests.web.asgi import ask
from tests.web.conftest import MAX_BODY


class TestWithAServerInMiniature:
    @pytest.mark.parametrize(
        ("method", "path", "body", "status"),
        [
            ("GET", "/healthz", [], 200),
            ("POST", "/nope", [b"x"] * 20, 404),
            ("POST", "/healthz", [b"x"] * 20, 405),
            ("POST", "/v1/x", [b"x" * 1_000] * 7, 413),
            ("POST", "/v1/x", [b"x"] * 20, 200),
        ],
    )
    async def test_the_server_gets_to_recycle_with_the_body_read(
        self, site: QuartTrio, method: str, path: str, body: list[bytes], status: int
    ) -> None:
        answer = await ask(site, method, path, body=body)
        assert (answer.status, answer.recycled, answer.unread) == (status, True, 0)

    async def test_a_client_that_stops_sending_is_waited_for_only_so_long(
        self, site: QuartTrio, autojump_clock: MockClock
    ) -> None:
        began = trio.current_time()
        answer = await ask(site, "POST", "/nope", headers=[(b"content-length", b"9")], body=None)
        assert (answer.status, answer.recycled) == (404, True)
        assert trio.current_time() - began == pytest.approx(LINGER_S)

    async def test_a_client_that_never_stops_sending_is_cut_off_at_a_bound(
        self, site: QuartTrio, autojump_clock: MockClock
    ) -> None:
        began = trio.current_time()
        endless = [b"x" * MAX_BODY] * 3  # and never the end: the declared length is longer
        answer = await ask(site, "POST", "/nope", body=endless)
        assert answer.recycled
        assert trio.current_time() == began


class TestWithHypercorn:
    """The real server, each test on one connection of its own."""

    @pytest.fixture
    async def client(self, site: QuartTrio) -> AsyncIterator[Client]:
        async with serving(site) as stream:
            yield Client(stream)

    @pytest.mark.parametrize(
        ("method", "target", "headers", "body", "status"),
        [
            ("POST", "/nope", {"content-length": "5"}, b"12345", 404),
            ("POST", "/nope", {"transfer-encoding": "chunked"}, b"5\r\n12345\r\n0\r\n\r\n", 404),
            ("PUT", "/healthz", {"content-length": "5"}, b"12345", 405),
            ("POST", "/v1/x", {"content-length": str(MAX_BODY + 1)}, b"x" * (MAX_BODY + 1), 413),
            (
                "POST",
                "/v1/x",
                {"transfer-encoding": "chunked"},
                b"1100\r\n" + b"x" * 4352 + b"\r\n0\r\n\r\n",
                413,
            ),
            ("GET", "/", {}, b"", 200),
        ],
    )
    async def test_a_connection_takes_another_request_after_an_early_answer(
        self,
        client: Client,
        method: str,
        target: str,
        headers: dict[str, str],
        body: bytes,
        status: int,
    ) -> None:
        with trio.fail_after(5):
            for _ in range(3):
                assert await client.ask(method, target, headers=headers, body=body) == status
            assert await client.ask("GET", "/healthz") == 200

    async def test_the_answer_does_not_wait_for_the_body(self, client: Client) -> None:
        with trio.fail_after(5):
            await client.send("POST", "/nope", headers={"content-length": "5"})
            assert await client.answer() == 404
            await client.stream.send_all(b"12345")
            assert await client.ask("GET", "/healthz") == 200

    async def test_a_body_without_end_closes_the_connection(self, client: Client) -> None:
        with trio.fail_after(5):
            await client.send("POST", "/v1/x", headers={"content-length": "1000000"})
            await client.stream.send_all(b"x" * (3 * MAX_BODY))
            assert await client.answer() == 413
            assert await client.closed()


class Client:
    """HTTP/1.1 by h11 on one stream."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._rest = b""

    async def ask(
        self, method: str, target: str, *, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> int:
        await self.send(method, target, headers=headers, body=body)
        return await self.answer()

    async def send(
        self, method: str, target: str, *, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> None:
        lines = [f"{method} {target} HTTP/1.1", "host: x"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        await self.stream.send_all("\r\n".join([*lines, "", ""]).encode() + body)

    async def answer(self) -> int:
        """The status of the next answer, which is read to its end."""
        parser = h11.Connection(h11.CLIENT)
        parser.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
        parser.send(h11.EndOfMessage())
        if self._rest:  # to h11 no bytes are the end of the stream
            parser.receive_data(self._rest)
        status = 0
        while not isinstance(event := parser.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                status = event.status_code
            elif event is h11.NEED_DATA:
                parser.receive_data(await self.stream.receive_some())
        self._rest = parser.trailing_data[0]
        return status

    async def closed(self) -> bool:
        try:
            return await self.stream.receive_some() == b""
        except trio.BrokenResourceError:
            return True


@asynccontextmanager
async def serving(site: QuartTrio) -> AsyncIterator[trio.SocketStream]:
    """Hypercorn at the other end of a stream."""
    ours, theirs = (trio.SocketStream(end) for end in trio.socket.socketpair())
    async with trio.open_nursery() as nursery:
        server = TCPServer(ASGIWrapper(site), Config(), WorkerContext(None), {}, theirs)  # type: ignore[arg-type]
        nursery.start_soon(server.run)
        async with ours, theirs:
            yield ours
        nursery.cancel_scope.cancel()
