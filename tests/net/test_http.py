"""HTTP/1.1 from bytes to requests and back, on streams in memory (RFC 9112)."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import pairwise

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair

from gateway.config import Http
from gateway.delivery.timers import Wheel
from gateway.net.http import DRAIN_BYTES, Clock, Head, HttpConnection, Malformed, parse_head
from gateway.wire.http import Request, Response
from tests.net.fakes import settle

LONG_S = 100_000
SETTINGS = Http(head_bytes=2_048, head_s=10, body_bytes=5_000, body_s=30, keep_alive_s=75, write_s=20)


def over(stream: trio.abc.Stream, wheel: Wheel, expire: Callable[[], None] = lambda: None) -> HttpConnection:
    return HttpConnection(
        stream, settings=SETTINGS, wheel=wheel, clock=Clock(), peer="192.0.2.1", secure=False, expire=expire
    )


@pytest.fixture
def pair(wheel: Wheel) -> tuple[HttpConnection, trio.abc.Stream]:
    """The server's connection, and the client's end of it."""
    server, client = memory_stream_pair()
    return over(server, wheel), client


Pair = tuple[HttpConnection, trio.abc.Stream]


def head_of(*lines: str) -> Head:
    return parse_head("\r\n".join((*lines, "", "")).encode("latin-1"))


class TestParsing:
    def test_a_head_is_taken_apart_and_nothing_is_decoded(self) -> None:
        head = head_of(
            "POST /v1/users/a%2Fb?x=%20y&z HTTP/1.1", "Host: h", "X-Two: 1", "x-two: 2", "Content-Length: 5"
        )
        assert (head.method, head.path, head.query) == ("POST", "/v1/users/a%2Fb", "x=%20y&z")
        assert head.headers == {"host": "h", "x-two": "1, 2", "content-length": "5"}
        assert (head.length, head.version, head.is_upgrade) == (5, "1.1", False)

    @pytest.mark.parametrize(
        ("target", "path", "query"),
        [
            ("http://example.com/v1/users?limit=1", "/v1/users", "limit=1"),
            ("http://example.com", "/", ""),
            ("https://example.com:8443/?q", "/", "q"),
            ("*", "*", ""),
            ("//double//slash", "//double//slash", ""),
            ("/a?b?c", "/a", "b?c"),
        ],
    )
    def test_every_form_of_a_target_comes_to_a_path(self, target: str, path: str, query: str) -> None:
        head = head_of(f"GET {target} HTTP/1.1", "Host: h")
        assert (head.path, head.query) == (path, query)

    @pytest.mark.parametrize(
        "lines",
        [
            ("GET / HTTP/1.1",),  # no Host
            ("GET / HTTP/9.9", "Host: h"),
            ("GET /", "Host: h"),
            ("GET / HTTP/1.1", "Host : h"),
            ("GET / HTTP/1.1", "Host: h", "X-Folded: a", " b"),
            ("GET / HTTP/1.1", "Host: h", "no colon"),
            ("GET / HTTP/1.1", "Host: h", "X-Nul: a\0b"),
            ("G@T / HTTP/1.1", "Host: h"),
            ("GET /a b HTTP/1.1", "Host: h"),
            ("CONNECT example.com:443 HTTP/1.1", "Host: h"),
            ("PRI * HTTP/2.0",),
            ("POST / HTTP/1.1", "Host: h", "Content-Length: 5", "Content-Length: 6"),
            ("POST / HTTP/1.1", "Host: h", "Content-Length: 5", "Content-Length: 5"),
            ("POST / HTTP/1.1", "Host: h", "Content-Length: 5, 5"),
            ("POST / HTTP/1.1", "Host: h", "Content-Length: +5"),
            ("POST / HTTP/1.1", "Host: h", "Content-Length: -1"),
            ("POST / HTTP/1.1", "Host: h", "Content-Length: 0x5"),
            ("POST / HTTP/1.1", "Host: h", "Content-Length: 99999999999999999999999"),
            ("POST / HTTP/1.1", "Host: h", "Content-Length: 5", "Transfer-Encoding: chunked"),
            ("POST / HTTP/1.1", "Host: h", "Transfer-Encoding: chunked", "Content-Length: 5"),
            ("POST / HTTP/1.1", "Host: h", "Transfer-Encoding: chunked, gzip"),
            ("GET / HTTP/1.1", "Host: one", "Host: two"),
        ],
    )
    def test_what_could_be_read_two_ways_is_refused(self, lines: tuple[str, ...]) -> None:
        with pytest.raises(Malformed) as refused:
            head_of(*lines)
        assert refused.value.status == 400

    def test_two_requests_cannot_hide_in_one_head(self) -> None:
        with pytest.raises(Malformed):
            parse_head(b"GET /a HTTP/1.1\nHost: h\n\nGET /v1/b HTTP/1.1\r\nHost: h\r\n\r\n")

    @pytest.mark.parametrize(
        ("version", "connection", "kept"),
        [
            ("1.1", None, True),
            ("1.1", "close", False),
            ("1.1", "Close", False),
            ("1.1", "keep-alive", True),
            ("1.0", None, False),
            ("1.0", "keep-alive", True),
            ("1.0", "close", False),
            ("1.1", "close, Upgrade", False),
        ],
    )
    def test_the_connection_is_kept_as_the_client_asks(
        self, version: str, connection: str | None, kept: bool
    ) -> None:
        lines = [f"GET / HTTP/{version}", "Host: h"]
        if connection is not None:
            lines.append(f"Connection: {connection}")
        assert head_of(*lines).keep_alive is kept

    def test_http_1_0_needs_no_host(self) -> None:
        assert head_of("GET / HTTP/1.0").path == "/"

    @pytest.mark.parametrize(
        ("headers", "upgrades"),
        [
            (("Upgrade: websocket", "Connection: Upgrade"), True),
            (("Upgrade: WebSocket", "Connection: keep-alive, upgrade"), True),
            (("Upgrade: websocket",), False),
            (("Connection: Upgrade",), False),
            (("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings"), False),
        ],
    )
    def test_only_a_websocket_is_an_upgrade(self, headers: tuple[str, ...], upgrades: bool) -> None:
        assert head_of("GET / HTTP/1.1", "Host: h", *headers).is_upgrade is upgrades

    def test_a_body_in_chunks_has_no_length(self) -> None:
        assert head_of("POST / HTTP/1.1", "Host: h", "Transfer-Encoding: chunked").length is None

    @given(st.binary(max_size=200))
    def test_garbage_is_refused_and_nothing_else_happens(self, garbage: bytes) -> None:
        with contextlib.suppress(Malformed):
            parse_head(garbage + b"\r\n\r\n")


bodies = st.binary(max_size=300)


@settings(deadline=None)
@given(st.lists(bodies, min_size=1, max_size=4), st.lists(st.integers(0, 2_000), max_size=12))
def test_requests_are_the_same_however_their_bytes_are_cut(sent: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(
        b"\r\nPOST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (number, len(body), body)
        for number, body in enumerate(sent)
    )
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[start:end] for start, end in pairwise(edges)]
    got: list[tuple[str, bytes]] = []

    async def scenario() -> None:
        server, client = memory_stream_pair()
        connection = over(server, Wheel())

        async def write() -> None:
            for piece in pieces:
                await client.send_all(piece)
                await settle()
            await client.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            while (head := await connection.head()) is not None:
                got.append((head.path, await connection.body(head, 1_000)))

    trio.run(scenario, clock=MockClock(autojump_threshold=0))
    assert got == [(f"/{number}", body) for number, body in enumerate(sent)]


class TestHead:
    async def test_a_client_that_leaves_between_requests_is_done(self, pair: Pair) -> None:
        connection, client = pair
        await client.aclose()
        assert await connection.head() is None

    async def test_a_client_that_leaves_within_a_head_is_done(self, pair: Pair) -> None:
        connection, client = pair
        await client.send_all(b"GET / HT")
        await client.aclose()
        assert await connection.head() is None

    @pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
    async def test_one_that_is_too_large_is_431_whether_it_ends_or_not(self, pair: Pair, end: bytes) -> None:
        connection, client = pair
        await client.send_all(b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * SETTINGS.head_bytes + end)
        with pytest.raises(Malformed) as refused:
            await connection.head()
        assert refused.value.status == 431

    async def test_one_of_exactly_the_limit_is_taken(self, pair: Pair) -> None:
        connection, client = pair
        start, end = b"GET / HTTP/1.1\r\nHost: h\r\nX: ", b"\r\n\r\n"
        padding = b"x" * (SETTINGS.head_bytes - len(start) - len(end))
        await client.send_all(start + padding + end)
        head = await connection.head()
        assert head is not None
        assert len(head.raw) == SETTINGS.head_bytes

    async def test_empty_lines_before_it_are_passed_over(self, pair: Pair) -> None:
        connection, client = pair
        await client.send_all(b"\r\n\n\r\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n")
        head = await connection.head()
        assert head is not None
        assert head.path == "/x"


class TestBody:
    async def begin(self, pair: Pair, sent: bytes, *headers: str) -> Head:
        connection, client = pair
        lines = "\r\n".join(("POST /v1/x HTTP/1.1", "Host: h", *headers, "", ""))
        await client.send_all(lines.encode() + sent)
        head = await connection.head()
        assert head is not None
        return head

    async def test_the_next_request_begins_behind_it(self, pair: Pair) -> None:
        connection, _ = pair
        head = await self.begin(pair, b"helloGET /next HTTP/1.1\r\nHost: h\r\n\r\n", "Content-Length: 5")
        assert await connection.body(head, 100) == b"hello"
        following = await connection.head()
        assert following is not None
        assert following.path == "/next"

    async def test_a_client_that_waits_to_be_asked_is_asked(self, pair: Pair, nursery: trio.Nursery) -> None:
        connection, client = pair
        head = await self.begin(pair, b"", "Content-Length: 5", "Expect: 100-Continue")

        async def send() -> None:
            assert await client.receive_some() == b"HTTP/1.1 100 Continue\r\n\r\n"
            await client.send_all(b"hello")

        nursery.start_soon(send)
        assert await connection.body(head, 100) == b"hello"

    async def test_one_that_did_not_wait_is_not_asked(self, pair: Pair) -> None:
        connection, client = pair
        head = await self.begin(pair, b"hello", "Content-Length: 5", "Expect: 100-continue")
        await connection.body(head, 100)
        await connection.stream.aclose()
        assert await client.receive_some() == b""

    async def test_one_that_is_too_large_is_413_before_it_is_read(self, pair: Pair) -> None:
        connection, _ = pair
        head = await self.begin(pair, b"", "Content-Length: 101")
        with pytest.raises(Malformed) as refused:
            await connection.body(head, 100)
        assert refused.value.status == 413

    async def test_one_that_ends_early_is_400(self, pair: Pair) -> None:
        connection, client = pair
        head = await self.begin(pair, b"hel", "Content-Length: 5")
        await client.aclose()
        with pytest.raises(Malformed) as refused:
            await connection.body(head, 100)
        assert refused.value.status == 400

    @pytest.mark.parametrize("at_once", [0, 3, 300])
    async def test_one_that_is_refused_can_be_read_away(
        self, pair: Pair, nursery: trio.Nursery, at_once: int
    ) -> None:
        connection, client = pair
        body = b"x" * 300
        head = await self.begin(pair, body[:at_once], "Content-Length: 300")

        async def rest() -> None:
            await client.send_all(body[at_once:] + b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n")

        nursery.start_soon(rest)
        assert await connection.drop_body(head)
        following = await connection.head()
        assert following is not None
        assert following.path == "/next"

    @pytest.mark.parametrize(
        "header",
        [
            "Transfer-Encoding: chunked",
            f"Content-Length: {DRAIN_BYTES + 1}",
            "Content-Length: 5\r\nExpect: 100-continue",
        ],
    )
    async def test_one_that_is_not_worth_it_is_not_read_away(self, pair: Pair, header: str) -> None:
        connection, _ = pair
        assert not await connection.drop_body(await self.begin(pair, b"", header))

    async def test_reading_away_ends_when_the_client_leaves(self, pair: Pair) -> None:
        connection, client = pair
        head = await self.begin(pair, b"x", "Content-Length: 300")
        await client.aclose()
        assert not await connection.drop_body(head)


class Expiring:
    """A connection whose deadline cancels what it does, and the time that took."""

    def __init__(self, wheel: Wheel, *, lockstep: bool = False) -> None:
        ends: tuple[trio.abc.Stream, trio.abc.Stream] = (
            lockstep_stream_pair() if lockstep else memory_stream_pair()
        )
        server, self.client = ends
        self.scope = trio.CancelScope()
        self.connection = over(server, wheel, self.scope.cancel)

    async def lasts(self, doing: Callable[[], Awaitable[object]]) -> float:
        """How many seconds until it is cancelled; rounded, since the wheel may be a moment late."""
        before = trio.current_time()
        with self.scope:
            await doing()
        assert self.connection.expired is self.scope.cancelled_caught
        return round(trio.current_time() - before, 1) if self.connection.expired else math.inf


class TestDeadlines:
    async def test_an_idle_connection_is_kept_for_a_while(self, wheel: Wheel) -> None:
        expiring = Expiring(wheel)
        assert await expiring.lasts(expiring.connection.head) == SETTINGS.keep_alive_s
        assert not expiring.connection.mid_request

    async def test_a_head_that_drips_in_has_one_deadline_in_all(
        self, wheel: Wheel, nursery: trio.Nursery
    ) -> None:
        expiring = Expiring(wheel)

        async def drip() -> None:
            for _ in range(100):
                await expiring.client.send_all(b"X")
                await trio.sleep(1)

        nursery.start_soon(drip)
        assert await expiring.lasts(expiring.connection.head) == SETTINGS.head_s
        assert expiring.connection.mid_request

    async def test_a_body_has_its_own(self, wheel: Wheel) -> None:
        expiring = Expiring(wheel)
        await expiring.client.send_all(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n")
        head = await expiring.connection.head()
        assert head is not None
        assert await expiring.lasts(lambda: expiring.connection.body(head, 100)) == SETTINGS.body_s
        assert expiring.connection.mid_request

    async def test_a_client_that_does_not_read_its_answer_has_one(self, wheel: Wheel) -> None:
        expiring = Expiring(wheel, lockstep=True)
        one, following = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"GET /next"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expiring.client.send_all, one + following)
            await expiring.connection.head()
        respond = partial(expiring.connection.respond, Response(200, b"x"), head=None, keep_alive=True)
        assert await expiring.lasts(respond) == SETTINGS.write_s
        assert not expiring.connection.mid_request

    async def test_a_handler_has_none(self, wheel: Wheel) -> None:
        expiring = Expiring(wheel)
        await expiring.client.send_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        await expiring.connection.head()
        assert await expiring.lasts(partial(trio.sleep, LONG_S)) == math.inf

    async def test_a_connection_that_was_given_away_has_none(self, wheel: Wheel) -> None:
        expiring = Expiring(wheel)
        await expiring.client.send_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /")
        await expiring.connection.head()
        expiring.connection.forget()
        assert await expiring.lasts(partial(trio.sleep, LONG_S)) == math.inf


class TestAnswer:
    async def answered(
        self, pair: Pair, response: Response, *, head: Head | None = None, keep_alive: bool = True
    ) -> tuple[list[str], bytes]:
        connection, client = pair
        await connection.respond(response, head=head, keep_alive=keep_alive)
        start, _, body = (await client.receive_some()).partition(b"\r\n\r\n")
        lines = start.decode("latin-1").split("\r\n")
        assert sum(line.startswith("Date: ") for line in lines) == 1
        return [line for line in lines if not line.startswith("Date: ")], bytes(body)

    async def test_it_is_framed_by_its_length(self, pair: Pair) -> None:
        assert await self.answered(pair, Response(201, b"{}", headers=[("X-Id", "1")])) == (
            [
                "HTTP/1.1 201 Created",
                "Content-Type: application/json; charset=utf-8",
                "Content-Length: 2",
                "X-Id: 1",
            ],
            b"{}",
        )

    async def test_to_head_the_body_is_left_out_but_counted(self, pair: Pair) -> None:
        lines, body = await self.answered(
            pair, Response(200, b"hello"), head=head_of("HEAD / HTTP/1.1", "Host: h")
        )
        assert "Content-Length: 5" in lines
        assert body == b""

    async def test_without_content_it_says_no_length(self, pair: Pair) -> None:
        assert await self.answered(pair, Response(204, b"")) == (["HTTP/1.1 204 No Content"], b"")

    async def test_the_last_one_says_so(self, pair: Pair) -> None:
        lines, _ = await self.answered(pair, Response(200, b""), keep_alive=False)
        assert "Connection: close" in lines

    async def test_an_old_client_is_told_that_the_connection_is_kept(self, pair: Pair) -> None:
        lines, _ = await self.answered(
            pair, Response(200, b""), head=head_of("GET / HTTP/1.0", "Connection: keep-alive")
        )
        assert "Connection: keep-alive" in lines


class TestWhileConnected:
    request = Request("GET", "/")

    async def test_the_handlers_answer_is_handed_back(self, pair: Pair) -> None:
        connection, _ = pair
        response = Response(200, b"")

        async def handler(request: Request) -> Response:
            assert request is self.request
            await trio.sleep(10)
            return response

        assert await connection.while_connected(handler, self.request) is response

    async def test_a_client_that_leaves_cancels_the_handler(self, pair: Pair, nursery: trio.Nursery) -> None:
        connection, client = pair
        ended: list[str] = []

        async def handler(request: Request) -> Response:
            try:
                await trio.sleep_forever()
            finally:
                ended.append("cancelled")

        async def leave() -> None:
            await trio.sleep(5)
            await client.aclose()

        nursery.start_soon(leave)
        assert await connection.while_connected(handler, self.request) is None
        assert ended == ["cancelled"]

    async def test_what_the_client_sends_meanwhile_is_its_next_request(
        self, pair: Pair, nursery: trio.Nursery
    ) -> None:
        connection, client = pair

        async def handler(request: Request) -> Response:
            await trio.sleep(10)
            return Response(200, b"")

        async def pipeline() -> None:
            for piece in (b"GET /ne", b"xt HTTP/1.1\r\nHost: h\r\n\r\n"):
                await trio.sleep(1)
                await client.send_all(piece)

        nursery.start_soon(pipeline)
        await connection.while_connected(handler, self.request)
        head = await connection.head()
        assert head is not None
        assert head.path == "/next"

    async def test_a_client_that_sends_without_end_is_read_no_further(
        self, wheel: Wheel, nursery: trio.Nursery
    ) -> None:
        server, client = lockstep_stream_pair()
        connection = over(server, wheel)
        sent = 0

        async def flood() -> None:
            nonlocal sent
            while True:
                await client.send_all(b"x" * 10_000)
                sent += 10_000

        async def handler(request: Request) -> Response:
            await trio.sleep(10)
            return Response(200, b"")

        nursery.start_soon(flood)
        assert await connection.while_connected(handler, self.request) is not None
        assert sent < 200_000

    async def test_cancelled_from_outside_it_cancels_the_handler(self, pair: Pair) -> None:
        connection, _ = pair
        ended: list[str] = []

        async def handler(request: Request) -> Response:
            try:
                await trio.sleep_forever()
            finally:
                ended.append("cancelled")

        with trio.move_on_after(1):
            await connection.while_connected(handler, self.request)
        assert ended == ["cancelled"]
