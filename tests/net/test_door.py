"""The front door on socket pairs: who serves what, connections that go to and fro, refusals, and stopping."""

from __future__ import annotations

import pytest
import trio

from gateway.delivery.timers import Wheel
from tests.net.doors import ACCEPT, ENDPOINT_BYTES, HTTP, Front, chunked, parse_answers, request, upgrade
from tests.net.fakes import Recorder, parse_frames, settle
from tests.wire.client import masked

API = request("GET", "/v1/users")
POSTED = request("POST", "/v1/messages", b'{"x":1}')
ENDPOINT = request("POST", "/echo/", b"4hello")
PAGE = request("GET", "/healthz")
MISSING_PAGE = request("GET", "/no/such/page")
PAGE_WITH_BODY = request("POST", "/no/such/page", b"x" * 1_000)
API_IN_CHUNKS = chunked("POST", "/v1/messages", b'{"x"', b":1}")
HEAD_OF_PAGE = request("HEAD", "/healthz")
KINDS = {
    "api": (API, 200),
    "post": (POSTED, 200),
    "endpoint": (ENDPOINT, 200),
    "page": (PAGE, 200),
    "missing page": (MISSING_PAGE, 404),
    "unread body": (PAGE_WITH_BODY, 404),
    "chunks": (API_IN_CHUNKS, 200),
    "head": (HEAD_OF_PAGE, 200),
}


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


class TestUpgrade:
    async def test_the_connection_becomes_a_websocket_and_moves_to_the_multiplexer(
        self, front: Front
    ) -> None:
        peer = front.connect()
        peer.send(upgrade("/echo/"))
        await settle()
        (answer,) = parse_answers(peer.read())
        assert (answer.status, answer.headers["sec-websocket-accept"]) == (101, ACCEPT)
        assert (front.multiplexer.count, front.door.statistics()["connections"]) == (1, 0)
        assert front.door.load == 1
        peer.send(masked(0x81, b"hello"))
        await settle()
        assert peer.texts() == ["hello"]

    async def test_frames_right_behind_the_handshake_are_not_lost(self, front: Front) -> None:
        peer = front.connect()
        peer.send(upgrade("/echo/") + masked(0x81, b"one") + masked(0x81, b"two"))
        await settle()
        answer, rest = parse_answers(peer.read())
        assert answer.status == 101
        assert [frame.payload for frame in parse_frames(rest.body)] == [b"one", b"two"]

    async def test_it_may_follow_other_requests(self, front: Front) -> None:
        peer = front.connect()
        peer.send(API + PAGE + upgrade("/echo/"))
        await trio.sleep(1)
        assert [answer.status for answer in parse_answers(peer.read())] == [200, 200, 101]

    async def test_it_outlives_every_deadline_of_http(self, front: Front) -> None:
        peer = front.connect()
        peer.send(upgrade("/echo/"))
        await trio.sleep(HTTP.keep_alive_s * 3)
        peer.read()
        peer.send(masked(0x81, b"hello"))
        await settle()
        assert peer.texts() == ["hello"]

    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            (upgrade("/echo/?refuse"), 403),
            (upgrade("/elsewhere"), 404),
            (upgrade("/v1/users"), 404),
            (upgrade("/echo/", Sec_WebSocket_Key="short"), 400),
            (upgrade("/echo/").replace(b"GET", b"POST", 1), 405),
        ],
        ids=["policy", "elsewhere", "api", "key", "method"],
    )
    async def test_one_that_is_refused_is_told_so_and_the_connection_ends(
        self, front: Front, sent: bytes, status: int
    ) -> None:
        peer = front.connect()
        peer.send(sent)
        await trio.sleep(1)
        (answer,) = parse_answers(peer.read())
        assert (answer.status, peer.ended) == (status, True)
        assert front.endpoint.receivers == []

    async def test_a_client_of_another_version_is_told_which_one_is_spoken(self, front: Front) -> None:
        peer = front.connect()
        peer.send(upgrade("/echo/", Sec_WebSocket_Version="8"))
        await settle()
        (answer,) = parse_answers(peer.read())
        assert 400 <= answer.status < 500
        assert answer.headers["sec-websocket-version"] == "13"  # RFC 6455 4.2.2

    async def test_a_client_that_goes_before_the_answer_leaves_nothing_behind(self, front: Front) -> None:
        peer = front.connect()
        peer.send(upgrade("/echo/"))
        peer.close()
        await settle()
        assert [receiver.reasons for receiver in front.endpoint.receivers] != [[]]
        assert front.door.load == 0

    async def test_a_receiver_that_raises_at_once_ends_its_own_connection_only(self, front: Front) -> None:
        class Broken(Recorder):
            def text(self, message: str) -> None:
                raise RuntimeError("receiver")

        front.endpoint.receiver_class = Broken
        broken = front.connect()
        broken.send(upgrade("/echo/") + masked(0x81, b"boom"))
        await settle()
        front.endpoint.receiver_class = Recorder
        peer = front.connect()  # gets the descriptor that the broken one has left
        peer.send(upgrade("/echo/"))
        await settle()
        broken.read()
        broken.close()
        for receiver in front.endpoint.receivers[:1]:
            if receiver.link is not None:
                receiver.link.abort("late")
        peer.read()
        peer.send(masked(0x81, b"hello"))
        await settle()
        assert peer.texts() == ["hello"]
        assert front.door.load == 1
        assert front.endpoint.receivers[0].reasons == ["internal error"]


class TestLongRequests:
    async def test_a_client_that_goes_away_is_noticed(self, front: Front) -> None:
        peer = front.connect()
        peer.send(request("GET", "/echo/?1000"))
        await trio.sleep(1)
        peer.close()
        await settle()
        assert front.endpoint.ended == ["cancelled"]
        assert front.door.load == 0

    async def test_requests_sent_meanwhile_are_answered_after_it(self, front: Front) -> None:
        peer = front.connect()
        peer.send(request("GET", "/echo/?10"))
        await trio.sleep(1)
        peer.send(API)
        await trio.sleep(1)
        assert peer.read() == b""
        await trio.sleep(10)
        assert [answer.status for answer in parse_answers(peer.read())] == [200, 200]

    async def test_cancelling_the_connection_cancels_it_and_closes_the_socket(
        self, front: Front, nursery: trio.Nursery
    ) -> None:
        async with trio.open_nursery() as connections:
            front.nursery = connections
            peers = [front.connect() for _ in range(4)]
            peers[0].send(request("GET", "/echo/?1000"))
            peers[1].send(request("GET", "/v1/wait?1000"))
            peers[2].send(b"GET /v1")
            await trio.sleep(1)
            connections.cancel_scope.cancel()
        assert front.endpoint.ended == ["cancelled"]
        for peer in peers:
            assert (peer.read(), peer.ended) == (b"", True)
        assert front.door.load == 0


class TestSlowReaders:
    @pytest.mark.parametrize("target", ["/v1/large?400000", "/docs"])
    async def test_one_that_does_not_read_its_answer_is_given_up(self, front: Front, target: str) -> None:
        peer = front.connect(buffer_bytes=2_048)
        for _ in range(10):
            peer.send(request("GET", target))
        await trio.sleep(HTTP.write_s * 2 + 2)
        assert front.door.load == 0

    @pytest.mark.parametrize("sent", [API, PAGE, MISSING_PAGE, PAGE_WITH_BODY, API_IN_CHUNKS, ENDPOINT])
    async def test_one_that_is_gone_before_its_answer_leaves_nothing_behind(
        self, front: Front, sent: bytes
    ) -> None:
        peer = front.connect()
        peer.send(sent)
        peer.close()
        await trio.sleep(10)
        assert front.door.load == 0

    async def test_one_that_is_gone_in_the_middle_of_a_body_in_chunks_leaves_nothing_behind(
        self, front: Front
    ) -> None:
        peer = front.connect()
        peer.send(API_IN_CHUNKS[:-10])
        await trio.sleep(1)
        peer.close()
        await trio.sleep(10)
        assert front.door.load == 0

    async def test_one_that_reads_slowly_gets_all_of_it(self, front: Front) -> None:
        peer = front.connect(buffer_bytes=2_048)
        peer.send(request("GET", "/v1/large?100000", Connection="close"))
        received = b""
        while not peer.ended:
            await trio.sleep(0.1)
            received += peer.read(5_000)
        assert len(parse_answers(received)[0].body) == 100_002


class TestStopping:
    async def test_idle_connections_end_now(self, front: Front) -> None:
        fresh, used, half = front.connect(), front.connect(), front.connect()
        used.send(API)
        half.send(b"GET /v1")
        await settle()
        used.read()
        front.door.stop()
        with trio.fail_after(1):
            await front.door.wait_empty()
        for peer in (fresh, used, half):
            assert (peer.read(), peer.ended) == (b"", True)

    @pytest.mark.parametrize("target", ["/v1/wait?5", "/echo/?5"])
    async def test_busy_ones_get_their_answer_first(self, front: Front, target: str) -> None:
        peer = front.connect()
        peer.send(request("GET", target))
        await trio.sleep(1)
        front.door.stop()
        await trio.sleep(1)
        assert not peer.read()
        await front.door.wait_empty()
        (answer,) = parse_answers(peer.read())
        assert (answer.status, answer.headers["connection"], peer.ended) == (200, "close", True)

    async def test_ones_that_come_late_are_closed(self, front: Front) -> None:
        front.door.stop()
        peer = front.connect()
        await settle()
        assert (peer.read(), peer.ended) == (b"", True)

    async def test_a_page_in_progress_is_finished(self, front: Front) -> None:
        peer = front.connect()
        peer.send(chunked("POST", "/v1/wait?5"))
        await trio.sleep(1)
        front.door.stop()
        await trio.sleep(1)
        assert not peer.read()
        await front.door.wait_empty()
        (answer,) = parse_answers(peer.read())
        assert (answer.status, peer.ended) == (200, True)

    async def test_waiting_for_an_empty_door_waits_for_no_websocket(self, front: Front) -> None:
        peer = front.connect()
        peer.send(upgrade("/echo/"))
        await settle()
        front.door.stop()
        with trio.fail_after(1):
            await front.door.wait_empty()
        assert front.multiplexer.count == 1

    async def test_a_client_that_does_not_read_a_page_does_not_hold_it_up(
        self, front: Front, wheel: Wheel
    ) -> None:
        async with trio.open_nursery() as connections:
            front.nursery = connections
            peer = front.connect(buffer_bytes=2_048)
            for _ in range(10):
                peer.send(request("GET", "/docs"))
            await trio.sleep(1)
            front.door.stop()
            before = trio.current_time()
            connections.cancel_scope.cancel()
        # Hypercorn shields its writes; what bounds them must not be the patience for a slow client.
        assert trio.current_time() - before <= 1
