"""The front door and clients that wait, go away or do not read; and how it stops."""

from __future__ import annotations

import pytest
import trio

from gateway.delivery.timers import Wheel
from tests.net.doors import (
    API,
    API_IN_CHUNKS,
    ENDPOINT,
    HTTP,
    MISSING_PAGE,
    PAGE,
    PAGE_WITH_BODY,
    Front,
    chunked,
    parse_answers,
    request,
    upgrade,
)
from tests.net.fakes import settle


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
