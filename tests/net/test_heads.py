"""Request heads: what is taken, what is refused, and that it is all the same how the bytes are cut (RFC 9112)."""

from __future__ import annotations

import contextlib
from itertools import pairwise

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, memory_stream_pair

from gateway.delivery.timers import Wheel
from gateway.net.heads import Malformed, parse_head
from tests.net.fakes import settle
from tests.net.lean import SETTINGS, Pair, head_of, over


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

    async def test_one_like_the_last_is_not_parsed_again_and_any_other_is(self, pair: Pair) -> None:
        connection, client = pair
        one, other = (b"GET /%b HTTP/1.1\r\nHost: h\r\n\r\n" % path for path in (b"x", b"y"))
        await client.send_all(one + one + other + one)
        first, second, third, fourth = [await connection.head() for _ in range(4)]
        assert first is not None
        assert second is first
        assert [head.path for head in (third, fourth) if head] == ["/y", "/x"]

    async def test_empty_lines_before_it_are_passed_over(self, pair: Pair) -> None:
        connection, client = pair
        await client.send_all(b"\r\n\n\r\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n")
        head = await connection.head()
        assert head is not None
        assert head.path == "/x"
