"""The REST surface behind Quart: the request arrives as it was sent, the answer leaves as it was given."""

from __future__ import annotations

import pytest
from quart_trio import QuartTrio
from trio.testing import MockClock

from gateway.wire.http import Response
from tests.web.asgi import ask
from tests.web.conftest import MAX_BODY, Surroundings


class TestTheRequest:
    @pytest.mark.parametrize(
        "path",
        ["/v1/users/a%2Fb%3A%40", "/v1//x", "/v1/x/../y", "/v1/a%0Ab", "/v1/%ff", "/v1/caf%C3%A9", "/v1/"],
    )
    async def test_the_path_stays_as_it_was_encoded(
        self, site: QuartTrio, around: Surroundings, path: str
    ) -> None:
        assert (await ask(site, "GET", path)).status == 200
        assert [request.path for request in around.requests] == [path]

    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"])
    async def test_every_method_is_passed_on(
        self, site: QuartTrio, around: Surroundings, method: str
    ) -> None:
        await ask(site, method, "/v1/x")
        assert [request.method for request in around.requests] == [method]

    async def test_query_headers_peer_and_scheme_are_there(
        self, site: QuartTrio, around: Surroundings
    ) -> None:
        headers = [(b"x-api-key", b"k"), (b"accept", b"a"), (b"accept", b"b"), (b"x-odd", b"\xe9")]
        await ask(site, "GET", "/v1/x", query=b"limit=5&q=%20", headers=headers, scheme="https")
        (request,) = around.requests
        assert request.query == "limit=5&q=%20"
        assert (request.headers["x-api-key"], request.headers["accept"]) == ("k", "a, b")
        assert request.headers["x-odd"] == "é"
        assert (request.peer, request.secure) == ("192.0.2.1", True)

    async def test_a_body_in_pieces_arrives_whole_and_untouched(
        self, site: QuartTrio, around: Surroundings
    ) -> None:
        await ask(site, "POST", "/v1/x", body=[b'{"a":', b"\xff", b"", b"1}"])
        assert around.requests[0].body == b'{"a":\xff1}'

    async def test_a_path_that_only_begins_like_the_api_is_not_it(
        self, site: QuartTrio, around: Surroundings
    ) -> None:
        assert (await ask(site, "GET", "/v10/x")).status == 404
        assert around.requests == []


class TestTheAnswer:
    async def test_status_headers_and_body_are_those_of_the_api(
        self, site: QuartTrio, around: Surroundings
    ) -> None:
        extra = [("Retry-After", "3"), ("Access-Control-Allow-Origin", "*")]
        around.answer = lambda request: Response(429, b'{"x":1}', headers=extra)
        answer = await ask(site, "POST", "/v1/x")
        assert (answer.status, answer.body) == (429, b'{"x":1}')
        assert answer.headers["retry-after"] == "3"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert answer.headers["content-length"] == "7"

    async def test_an_answer_that_ends_its_connection_says_so(
        self, site: QuartTrio, around: Surroundings
    ) -> None:
        around.answer = lambda request: Response(503, b"{}", close=True)
        assert (await ask(site, "GET", "/v1/x")).headers["connection"] == "close"

    async def test_http_2_has_no_header_for_that(self, site: QuartTrio, around: Surroundings) -> None:
        around.answer = lambda request: Response(503, b"{}", close=True)
        assert "connection" not in (await ask(site, "GET", "/v1/x", http_version="2")).headers

    async def test_a_bug_below_is_an_error_body(self, site: QuartTrio, around: Surroundings) -> None:
        def fail(request: object) -> Response:
            raise RuntimeError("secret")

        around.answer = fail
        answer = await ask(site, "GET", "/v1/x", headers=[(b"accept", b"text/html")])
        assert answer.status == 500
        assert b'"code":"internal"' in answer.body
        assert b"secret" not in answer.body


class TestTheSizeLimit:
    async def test_a_body_of_exactly_the_limit_passes(self, site: QuartTrio, around: Surroundings) -> None:
        assert (await ask(site, "POST", "/v1/x", body=[b"x" * MAX_BODY])).status == 200
        assert len(around.requests[0].body) == MAX_BODY

    async def test_bytes_are_counted_when_no_length_was_declared(
        self, site: QuartTrio, around: Surroundings
    ) -> None:
        answer = await ask(site, "POST", "/v1/x", body=[b"x" * 1_000] * 5)
        assert answer.status == 413
        assert b'"code":"too_large"' in answer.body
        assert answer.headers["access-control-allow-origin"] == "*"
        assert around.requests == []

    async def test_a_declared_length_over_it_is_refused_before_a_byte_has_come(
        self, site: QuartTrio, autojump_clock: MockClock
    ) -> None:
        headers = [(b"content-length", str(MAX_BODY + 1).encode())]
        assert (await ask(site, "POST", "/v1/x", headers=headers, body=None)).status == 413

    async def test_a_body_that_does_not_come_is_given_up(
        self, site: QuartTrio, autojump_clock: MockClock
    ) -> None:
        answer = await ask(site, "POST", "/v1/x", headers=[(b"content-length", b"5")], body=None)
        assert (answer.status, b'"code":"timeout"' in answer.body) == (408, True)
