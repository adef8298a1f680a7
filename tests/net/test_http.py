"""HTTP/1.1 behind the head: bodies, deadlines, answers, and handlers that wait (RFC 9112)."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio
from trio.testing import lockstep_stream_pair, memory_stream_pair

from gateway.delivery.timers import Wheel
from gateway.net.heads import Head, Malformed
from gateway.net.http import DRAIN_BYTES, REMEMBERED_BYTES
from gateway.wire.http import Request, Response
from tests.net.lean import SETTINGS, Pair, head_of, over

LONG_S = 100_000


class TestHead:
    async def heads(self, pair: Pair, *filling: int) -> list[Head]:
        connection, client = pair
        found = []
        for octets in filling:
            await client.send_all(b"GET /v1/x HTTP/1.1\r\nHost: h\r\nX-Filling: %s\r\n\r\n" % (b"x" * octets))
            head = await connection.head()
            assert head is not None
            found.append(head)
        return found

    async def test_one_that_differs_from_the_last_is_read_anew(self, pair: Pair) -> None:
        heads = await self.heads(pair, 1, 1, 2, 1)
        assert [len(head.headers["x-filling"]) for head in heads] == [1, 1, 2, 1]

    async def test_only_a_small_one_is_kept_while_the_connection_idles(self, pair: Pair) -> None:
        small, same = await self.heads(pair, 1, 1)
        assert same is small
        large, equal = await self.heads(pair, REMEMBERED_BYTES, REMEMBERED_BYTES)
        assert equal == large
        assert equal is not large


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
                "X-Id: 1",
                "Content-Length: 2",
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
