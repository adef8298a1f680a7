"""A plain TCP connection as a Trio stream: it tries before it waits, and a cancelled call loses nothing."""

from __future__ import annotations

import pytest
import trio

from gateway.net.stream import PlainStream
from tests.net.fakes import Pairs, Peer, settle


@pytest.fixture
def pair(pairs: Pairs) -> tuple[PlainStream, Peer]:
    server, peer = pairs(buffer_bytes=4_096)
    return PlainStream(server), peer


Pair = tuple[PlainStream, Peer]


class TestReceiving:
    async def test_it_waits_for_what_comes(self, pair: Pair, nursery: trio.Nursery) -> None:
        stream, peer = pair
        got: list[bytes] = []

        async def receive() -> None:
            got.append(await stream.receive_some())

        nursery.start_soon(receive)
        await settle()
        assert got == []
        peer.send(b"hello")
        await settle()
        assert got == [b"hello"]

    async def test_it_takes_no_more_than_asked(self, pair: Pair) -> None:
        stream, peer = pair
        peer.send(b"hello")
        assert (await stream.receive_some(2), await stream.receive_some()) == (b"he", b"llo")

    async def test_the_end_is_nothing(self, pair: Pair) -> None:
        stream, peer = pair
        peer.close()
        assert await stream.receive_some() == b""

    async def test_others_run_between_two_calls_even_when_there_is_plenty(
        self, pair: Pair, nursery: trio.Nursery
    ) -> None:
        stream, peer = pair
        peer.send(b"x" * 100)
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await trio.lowlevel.checkpoint()

        nursery.start_soon(count)
        for _ in range(100):
            await stream.receive_some(1)
        assert turns >= 50

    async def test_cancelled_it_has_taken_nothing(self, pair: Pair) -> None:
        stream, peer = pair
        with trio.move_on_after(1) as scope:
            await stream.receive_some()
        assert scope.cancelled_caught
        peer.send(b"hello")
        with trio.CancelScope() as scope:
            scope.cancel()
            await stream.receive_some()
        assert await stream.receive_some() == b"hello"

    async def test_closing_wakes_whoever_waits(self, pair: Pair, nursery: trio.Nursery) -> None:
        stream, _ = pair
        ended = trio.Event()

        async def receive() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await stream.receive_some()
            ended.set()

        nursery.start_soon(receive)
        await settle()
        await stream.aclose()
        await settle()
        assert ended.is_set()


class TestSending:
    async def test_what_the_kernel_takes_at_once_costs_no_checkpoint(self, pair: Pair) -> None:
        stream, peer = pair
        with trio.CancelScope() as scope:
            scope.cancel()
            await stream.send_all(b"hello")
        assert not scope.cancelled_caught
        assert peer.read() == b"hello"

    async def test_what_it_does_not_take_follows_in_order(self, pair: Pair, nursery: trio.Nursery) -> None:
        stream, peer = pair
        data = bytes(range(256)) * 400
        nursery.start_soon(stream.send_all, data)
        received = b""
        while len(received) < len(data):
            await settle()
            received += peer.read(777)
        assert received == data

    async def test_nothing_is_sent_of_nothing(self, pair: Pair) -> None:
        stream, peer = pair
        await stream.send_all(b"")
        assert (peer.read(), peer.ended) == (b"", False)

    async def test_a_peer_that_is_gone_breaks_it(self, pair: Pair) -> None:
        stream, peer = pair
        peer.close()
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"hello")

    async def test_a_peer_that_goes_meanwhile_breaks_it(self, pair: Pair, nursery: trio.Nursery) -> None:
        stream, peer = pair
        broken = trio.Event()

        async def send() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await stream.send_all(b"x" * 100_000)
            broken.set()

        nursery.start_soon(send)
        await settle()
        peer.close()
        await settle()
        assert broken.is_set()

    async def test_cancelled_it_stops_where_it_is(self, pair: Pair) -> None:
        stream, peer = pair
        data = b"x" * 100_000
        with trio.move_on_after(1) as scope:
            await stream.send_all(data)
        assert scope.cancelled_caught
        assert 0 < len(peer.read()) < len(data)


class TestEnding:
    async def test_the_end_of_what_is_sent_leaves_the_other_way_open(self, pair: Pair) -> None:
        stream, peer = pair
        await stream.send_all(b"last")
        await stream.send_eof()
        assert (peer.read(), peer.ended) == (b"last", True)
        peer.send(b"answer")
        assert await stream.receive_some() == b"answer"

    async def test_it_may_be_closed_twice(self, pair: Pair) -> None:
        stream, peer = pair
        await stream.aclose()
        await stream.aclose()
        assert (peer.read(), peer.ended) == (b"", True)

    async def test_a_socket_that_was_given_away_is_no_longer_the_streams(self, pair: Pair) -> None:
        stream, peer = pair
        sock = stream.detach()
        await stream.aclose()
        sock.send(b"still open")
        assert (peer.read(), peer.ended) == (b"still open", False)
        sock.close()
