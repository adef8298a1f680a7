"""The multiplexer on socket pairs: reading in batches, and writing without waiting for anybody."""

from __future__ import annotations

import socket
from itertools import pairwise

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.outbox import Outbox
from gateway.delivery.timers import Wheel
from gateway.net.multiplexer import BATCH, Multiplexer
from gateway.net.native import Native
from gateway.wire.frames import FrameReader
from gateway.wire.prepared import prepare_text
from tests.net.conftest import CLOSE_S
from tests.net.fakes import (
    PONG,
    Adopter,
    Frame,
    Pairs,
    Peer,
    Recorder,
    parse_frames,
    settle,
    text,
)
from tests.support.compiled import BOTH
from tests.wire.client import masked


@BOTH
class TestReading:
    async def test_messages_come_in_order_however_the_bytes_are_cut(self, adopt: Adopter) -> None:
        receiver = Recorder()
        _, peer = adopt(receiver)
        stream = text("one") + masked(0x82, b"two") + text("three" * 100)
        for cut in range(0, len(stream), 7):
            peer.send(stream[cut : cut + 7])
            await settle()
        assert receiver.messages == ["one", b"two", "three" * 100]

    async def test_what_came_behind_the_handshake_is_read_first(self, adopt: Adopter) -> None:
        receiver = Recorder()
        _, peer = adopt(receiver, early=text("early") + text("late")[:4])
        peer.send(text("late")[4:])
        await settle()
        assert receiver.messages == ["early", "late"]

    async def test_a_ping_is_answered_with_its_payload(self, adopt: Adopter) -> None:
        _, peer = adopt(Recorder())
        peer.send(masked(0x89, b"are you there"))
        await settle()
        assert peer.frames() == [Frame(PONG, b"are you there")]

    async def test_more_links_than_a_batch_are_all_read_and_answered(self, adopt: Adopter) -> None:
        count = BATCH + 44
        receivers = [Recorder() for _ in range(count)]
        peers = [adopt(receiver)[1] for receiver in receivers]
        for number, (receiver, peer) in enumerate(zip(receivers, peers, strict=True)):
            receiver.on_message = lambda message, receiver=receiver: receiver.outbox.put(  # type: ignore[misc]
                prepare_text(f"re {message}".encode())
            )
            peer.send(text(str(number)))
        await settle()
        assert [peer.texts() for peer in peers] == [[f"re {number}"] for number in range(count)]

    async def test_a_client_that_is_never_silent_does_not_keep_the_loop(self, adopt: Adopter) -> None:
        receiver = Recorder()
        _, peer = adopt(receiver)
        receiver.on_message = lambda message: (
            peer.send(text("more")) if len(receiver.messages) < 900 else None
        )
        peer.send(text("more"))
        seen = [0]
        while seen[-1] < 900:
            await trio.lowlevel.checkpoint()
            seen.append(len(receiver.messages))
        # Twice, as whose turn it is first within a turn of the loop is chance.
        assert max(after - before for before, after in pairwise(seen)) <= 2 * BATCH

    async def test_a_paused_link_is_not_read_until_it_is_resumed(self, adopt: Adopter) -> None:
        receiver = Recorder()
        link, peer = adopt(receiver)
        link.pause()
        peer.send(text("held"))
        await settle()
        assert receiver.messages == []
        link.resume()
        await settle()
        assert receiver.messages == ["held"]

    async def test_a_paused_link_still_writes(self, adopt: Adopter) -> None:
        receiver = Recorder()
        link, peer = adopt(receiver)
        link.pause()
        receiver.outbox.put(prepare_text(b"out"))
        await settle()
        assert peer.texts() == ["out"]


@BOTH
class TestWriting:
    async def test_everything_put_in_one_tick_is_one_write_in_order(
        self, multiplexer: Multiplexer, adopt: Adopter
    ) -> None:
        receiver = Recorder()
        server, client = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # keeps writes apart
        server.setblocking(False)
        multiplexer.adopt(
            server,
            reader=FrameReader(max_message=1_000),
            receiver=receiver,
            outbox=receiver.outbox,
            deflate=False,
            early=b"",
        )
        for number in range(5):
            receiver.outbox.put(prepare_text(b"%d" % number))
        await settle()
        client.setblocking(False)
        first = client.recv(65_536)
        assert [frame.payload for frame in parse_frames(first)] == [b"0", b"1", b"2", b"3", b"4"]
        with pytest.raises(BlockingIOError):
            client.recv(65_536)
        client.close()

    async def test_one_message_may_set_more_links_writing_than_a_batch(self, adopt: Adopter) -> None:
        crowd = [Recorder() for _ in range(2 * BATCH + 44)]
        peers = [adopt(receiver)[1] for receiver in crowd]
        speaker = Recorder()
        item = prepare_text(b"to all")
        speaker.on_message = lambda message: Outbox.put_all([receiver.outbox for receiver in crowd], item)
        _, peer = adopt(speaker)
        peer.send(text("to all"))
        await settle()
        assert [peer.texts() for peer in peers] == [["to all"]] * len(crowd)

    async def test_each_gets_its_own_packets_though_those_of_a_crowd_are_joined_once(
        self, adopt: Adopter
    ) -> None:
        receivers = [Recorder() for _ in range(4)]
        peers = [adopt(receiver)[1] for receiver in receivers]
        items = {name: prepare_text(name.encode()) for name in "xyz"}
        for queues in (["xy", "xy", "xz", "xy"], ["xy", "yx", "yx", "x"], ["", "x", "xyz", "xyz"]):
            for receiver, queue in zip(receivers, queues, strict=True):
                for name in queue:
                    receiver.outbox.put(items[name])
            await settle()
            assert ["".join(peer.texts()) for peer in peers] == queues
            assert all(receiver.outbox.size == 0 for receiver in receivers)

    async def test_what_the_kernel_refuses_follows_later_in_order(self, adopt: Adopter) -> None:
        receiver = Recorder(limit_bytes=10_000_000)
        _, peer = adopt(receiver, buffer_bytes=4_096)
        sent = [b"%05d" % number * 100 for number in range(400)]
        received = b""
        for payload in sent:
            receiver.outbox.put(prepare_text(payload))
            await settle()
            received += peer.read(311)
        while data := peer.read(4_096):
            received += data
            await settle()
        assert [frame.payload for frame in parse_frames(received)] == sent

    async def test_the_outbox_counts_exactly_what_no_kernel_has(self, adopt: Adopter) -> None:
        receiver = Recorder(limit_bytes=10_000_000)
        _, peer = adopt(receiver, buffer_bytes=4_096)
        put = written = 0
        for number in range(300):
            item = prepare_text(b"x" * (number * 7 % 3_000))
            put += len(item.frame)
            receiver.outbox.put(item)
            if number % 3 == 0:
                written += len(peer.read(1_500))
            await settle()
            in_kernel = put - written - receiver.outbox.size
            assert 0 <= in_kernel <= _unread_bound(peer)
        while data := peer.read(8_192):
            written += len(data)
            await settle()
        assert (written, receiver.outbox.size) == (put, 0)

    async def test_a_reader_that_stops_is_dropped_at_the_bound(
        self, multiplexer: Multiplexer, adopt: Adopter
    ) -> None:
        receiver = Recorder(limit_bytes=50_000)
        _, peer = adopt(receiver, buffer_bytes=4_096)
        item = prepare_text(b"x" * 10_000)
        for _ in range(100):
            receiver.outbox.put(item)
            assert receiver.outbox.size <= 50_000
            await settle()
        assert (receiver.overflows, receiver.reasons) == (1, ["slow consumer"])
        assert multiplexer.count == 0
        peer.read()
        assert peer.ended

    async def test_a_reader_that_stops_delays_nobody(self, adopt: Adopter) -> None:
        stuck, lively = Recorder(limit_bytes=1_000_000), Recorder()
        adopt(stuck, buffer_bytes=4_096)
        _, peer = adopt(lively)
        item = prepare_text(b"x" * 1_000)
        for _ in range(200):
            stuck.outbox.put(item)
            lively.outbox.put(item)
            await settle()
            assert len(peer.frames()) == 1
        assert stuck.outbox.size > 100_000

    async def test_a_peer_that_is_gone_ends_the_link_at_the_next_write(
        self, multiplexer: Multiplexer, adopt: Adopter
    ) -> None:
        receiver = Recorder()
        link, peer = adopt(receiver)
        link.pause()  # so that it is the write that finds out
        peer.close()
        receiver.outbox.put(prepare_text(b"anyone"))
        await settle()
        assert len(receiver.reasons) == 1
        assert multiplexer.count == 0


sizes = st.sampled_from([0, 1, 10, 125, 126, 1_000, 20_000])
steps = st.one_of(
    st.tuples(st.just("put"), sizes),
    st.tuples(st.just("read"), st.integers(1, 30_000)),
    st.tuples(st.just("settle"), st.just(0)),
)


@BOTH
@given(history=st.lists(steps, max_size=60))
def test_whatever_the_client_reads_and_when_it_gets_everything_in_order(
    history: list[tuple[str, int]], native: Native | None
) -> None:
    async def scenario() -> None:
        wheel, pairs, receiver = Wheel(), Pairs(), Recorder(limit_bytes=10_000_000)
        multiplexer = Multiplexer(wheel=wheel, close_s=CLOSE_S, native=native)
        sent, received = b"", b""
        async with trio.open_nursery() as nursery:
            await nursery.start(multiplexer.run)
            link, peer = Adopter(multiplexer, pairs)(receiver, buffer_bytes=4_096)
            for number, (step, size) in enumerate((*history, ("settle", 0))):
                if step == "put":
                    item = prepare_text(bytes([number]) * size)
                    sent += item.frame
                    receiver.outbox.put(item)
                elif step == "read":
                    received += peer.read(size)
                else:
                    await settle()
                assert 0 <= receiver.outbox.size <= len(sent) - len(received)
            link.close(1000, "")
            while not peer.ended:
                received += peer.read(30_000)
                await settle()
            nursery.cancel_scope.cancel()
        pairs.close()
        assert received == sent + b"\x88\x02\x03\xe8"
        assert receiver.outbox.size == 0

    trio.run(scenario)


def _unread_bound(peer: Peer) -> int:
    """The most that the kernel may hold between the two ends, its own bookkeeping not deducted."""
    return peer.sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) + 100_000
