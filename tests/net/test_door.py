"""The front door on socket pairs: who serves what, connections that go to and fro, and refusals."""

from __future__ import annotations

import pytest
import trio

from tests.net.doors import (
    API,
    API_IN_CHUNKS,
    ENDPOINT_BYTES,
    HTTP,
    KINDS,
    PAGE,
    Front,
    chunked,
    parse_answers,
    request,
)
from tests.net.fakes import settle


class TestOneConnection:
    @pytest.mark.parametrize("first", KINDS)
    @pytest.mark.parametrize("second", KINDS)
    async def test_goes_to_and_fro_between_all_who_serve(self, front: Front, first: str, second: str) -> None:
        peer = front.connect()
        for kind in (first, second, first, second, "api"):
            sent, status = KINDS[kind]
            peer.send(sent)
            await trio.sleep(0.1)
            (answer,) = parse_answers(peer.read(), heads=[0] if kind == "head" else ())
            assert answer.status == status
            assert answer.headers.get("connection") != "close"
        assert not peer.ended

    async def test_may_send_everything_at_once_and_is_answered_in_order(self, front: Front) -> None:
        peer = front.connect()
        kinds = [
            KINDS[kind] for kind in ("api", "page", "post", "missing page", "endpoint", "unread body", "api")
        ]
        peer.send(b"".join([sent for sent, _ in kinds]))
        await trio.sleep(1)
        assert [answer.status for answer in parse_answers(peer.read())] == [status for _, status in kinds]

    async def test_may_send_the_next_request_right_behind_a_body_in_chunks(self, front: Front) -> None:
        peer = front.connect()
        peer.send(API_IN_CHUNKS + API)
        await trio.sleep(HTTP.keep_alive_s * 2)
        answers = parse_answers(peer.read())
        # Either both are answered, or the client is told that the connection ends with the first.
        assert [answer.status for answer in answers] == [200, 200] or (
            answers[0].headers["connection"] == "close" and peer.ended
        )

    async def test_hands_the_request_on_as_it_came(self, front: Front) -> None:
        peer = front.connect()
        peer.send(request("PATCH", "/v1/a%2Fb/c?x=%20", b"body"))
        await settle()
        (answer,) = parse_answers(peer.read())
        assert answer.json == {"method": "PATCH", "path": "/v1/a%2Fb/c", "body": "body"}

    async def test_hands_on_the_same_from_chunks(self, front: Front) -> None:
        peer = front.connect()
        peer.send(chunked("POST", "/v1/a%2Fb", b"bo", b"dy"))
        await trio.sleep(1)
        (answer,) = parse_answers(peer.read())
        assert answer.json == {"method": "POST", "path": "/v1/a%2Fb", "body": "body"}

    @pytest.mark.parametrize("target", ["/v1/users", "/healthz", "/echo/"])
    async def test_ends_when_the_client_says_so(self, front: Front, target: str) -> None:
        peer = front.connect()
        peer.send(request("GET", target, Connection="close"))
        await trio.sleep(1)
        (answer,) = parse_answers(peer.read())
        assert (answer.status, answer.headers["connection"], peer.ended) == (200, "close", True)

    @pytest.mark.parametrize("target", ["/v1/users", "/healthz"])
    async def test_of_an_old_client_ends_after_one_answer(self, front: Front, target: str) -> None:
        peer = front.connect()
        peer.send(request("GET", target, version="1.0"))
        await trio.sleep(1)
        (answer,) = parse_answers(peer.read())
        assert (answer.status, peer.ended) == (200, True)

    async def test_ends_when_the_application_says_so(self, front: Front) -> None:
        peer = front.connect()
        peer.send(request("GET", "/v1/last") + API)
        await settle()
        (answer,) = parse_answers(peer.read())
        assert (answer.headers["connection"], peer.ended) == ("close", True)

    async def test_is_closed_when_it_stays_idle(self, front: Front) -> None:
        peer = front.connect()
        peer.send(API)
        await trio.sleep(HTTP.keep_alive_s - 1)
        assert len(parse_answers(peer.read())) == 1
        assert not peer.ended
        await trio.sleep(2)
        assert (peer.read(), peer.ended) == (b"", True)

    async def test_is_kept_after_a_page_as_long_as_after_an_answer_of_the_api(self, front: Front) -> None:
        peer = front.connect()
        peer.send(PAGE)
        await trio.sleep(HTTP.keep_alive_s - 1)
        peer.send(API)
        await trio.sleep(1)
        assert len(parse_answers(peer.read())) == 2

    async def test_that_breaks_inside_a_handler_is_its_own_affair(self, front: Front) -> None:
        peer, other = front.connect(), front.connect()
        peer.send(request("GET", "/v1/raise"))
        other.send(API)
        await settle()
        peer.read()
        assert peer.ended
        assert len(parse_answers(other.read())) == 1

    async def test_counts_until_it_is_closed(self, front: Front) -> None:
        peers = [front.connect() for _ in range(3)]
        peers[0].send(API)
        await settle()
        assert front.door.statistics() == {"connections": 3, "idle": 3}
        for peer in peers:
            peer.close()
        await settle()
        assert front.door.statistics() == {"connections": 0, "idle": 0}


class TestRefusals:
    async def test_what_is_not_http_is_400_in_the_shape_of_all_errors(self, front: Front) -> None:
        peer = front.connect()
        peer.send(b"\x16\x03\x01\x02\r\n\r\n")
        await settle()
        (answer,) = parse_answers(peer.read())
        assert answer.status == 400
        assert set(answer.json) == {"statusCode", "error", "message", "code"}
        assert answer.headers["connection"] == "close"
        assert peer.ended

    async def test_a_head_that_is_too_large_is_431(self, front: Front) -> None:
        peer = front.connect()
        peer.send(b"GET /v1/x HTTP/1.1\r\nX: " + b"x" * HTTP.head_bytes)
        await settle()
        (answer,) = parse_answers(peer.read())
        assert (answer.status, answer.json["code"], peer.ended) == (431, "head_too_large", True)

    @pytest.mark.parametrize(
        "sent", [b"GET /v1/x HT", b"POST /v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx"]
    )
    async def test_a_request_that_does_not_arrive_is_408(self, front: Front, sent: bytes) -> None:
        peer = front.connect()
        peer.send(sent)
        await trio.sleep(HTTP.body_s + 1)
        (answer,) = parse_answers(peer.read())
        assert (answer.status, answer.json["code"], peer.ended) == (408, "timeout", True)

    @pytest.mark.parametrize("target", ["/v1/x", "/no/such/page", "/echo/"])
    async def test_a_body_that_is_too_large_is_413_and_the_connection_lives_on(
        self, front: Front, target: str
    ) -> None:
        peer = front.connect()
        peer.send(request("POST", target, b"x" * (ENDPOINT_BYTES + 1)) + API)
        await trio.sleep(1)
        refused, following = parse_answers(peer.read())
        assert (refused.status, following.status) == (413, 200)

    async def test_a_body_in_chunks_that_is_too_large_is_413(self, front: Front) -> None:
        peer = front.connect()
        peer.send(chunked("POST", "/v1/x", *[b"x" * 1_000] * 6))
        await trio.sleep(HTTP.write_s * 3)
        assert parse_answers(peer.read())[0].status == 413

    async def test_a_client_that_asks_first_is_spared_the_sending(self, front: Front) -> None:
        peer = front.connect()
        head = request("POST", "/v1/x", Expect="100-continue", Content_Length=str(HTTP.body_bytes + 1))
        peer.send(head)
        await settle()
        (answer,) = parse_answers(peer.read())
        assert (answer.status, answer.headers["connection"], peer.ended) == (413, "close", True)

    @pytest.mark.parametrize("target", ["/v1/x", "/no/such/page"])
    async def test_a_client_that_asks_first_is_asked_to_go_on(self, front: Front, target: str) -> None:
        peer = front.connect()
        peer.send(request("POST", target, Expect="100-continue", Content_Length="4"))
        await settle()
        assert [answer.status for answer in parse_answers(peer.read())] == [100]
        peer.send(b"body" + API)
        await trio.sleep(1)
        first, second = parse_answers(peer.read())
        assert (first.status, second.status) == (200 if target == "/v1/x" else 404, 200)

    @pytest.mark.parametrize(
        "header", [{"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings"}, {"Upgrade": "tls"}]
    )
    async def test_an_upgrade_to_something_else_is_not_taken_up(
        self, front: Front, header: dict[str, str]
    ) -> None:
        peer = front.connect()
        peer.send(request("GET", "/healthz", **header, HTTP2_Settings="AAMAAABkAAQAAP__"))
        await trio.sleep(1)
        assert parse_answers(peer.read())[0].status == 200
