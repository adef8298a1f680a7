"""How a multiplexed link ends: closed from either side, dropped, broken by a bug, cancelled."""

from __future__ import annotations

import contextlib

import trio

from gateway.delivery.timers import Wheel
from gateway.net.multiplexer import Multiplexer
from gateway.wire.prepared import prepare_text
from tests.net.conftest import CLOSE_S
from tests.net.fakes import (
    CLOSE,
    Adopter,
    Frame,
    Pairs,
    Peer,
    Recorder,
    close,
    parse_frames,
    settle,
    text,
)
from tests.support.compiled import BOTH
from tests.wire.client import masked


@BOTH
class TestClosing:
    async def test_the_peers_close_is_echoed_and_the_connection_ends(
        self, multiplexer: Multiplexer, adopt: Adopter
    ) -> None:
        receiver = Recorder()
        _, peer = adopt(receiver)
        peer.send(close(1001) + text("after the close"))
        await settle()
        (frame,) = peer.frames()
        assert (frame.opcode, frame.code, peer.ended) == (CLOSE, 1001, True)
        assert (receiver.messages, receiver.reasons) == ([], ["transport close"])
        peer.close()
        await settle()
        assert multiplexer.count == 0

    async def test_a_close_without_a_code_is_echoed_without_one(self, adopt: Adopter) -> None:
        _, peer = adopt(Recorder())
        peer.send(masked(0x88))
        await settle()
        assert peer.frames() == [Frame(CLOSE, b"")]

    async def test_our_close_follows_everything_queued(self, adopt: Adopter) -> None:
        receiver = Recorder(limit_bytes=1_000_000)
        link, peer = adopt(receiver, buffer_bytes=4_096)
        for number in range(50):
            receiver.outbox.put(prepare_text(b"%02d" % number * 500))
        link.close(1001, "going away")
        assert receiver.reasons == ["going away"]
        received = b""
        while not peer.ended:
            await settle()
            received += peer.read(2_000)
        *messages, last = parse_frames(received)
        assert [frame.payload for frame in messages] == [b"%02d" % number * 500 for number in range(50)]
        assert (last.opcode, last.code) == (CLOSE, 1001)

    async def test_nothing_follows_our_close(self, adopt: Adopter) -> None:
        receiver = Recorder()
        link, peer = adopt(receiver)
        link.close(1000, "done")
        receiver.outbox.put(prepare_text(b"too late"))
        await settle()
        receiver.outbox.put(prepare_text(b"much too late"))
        await settle()
        assert [frame.opcode for frame in peer.frames()] == [CLOSE]

    async def test_the_connection_ends_when_the_peer_answers_our_close(
        self, multiplexer: Multiplexer, adopt: Adopter
    ) -> None:
        receiver = Recorder()
        link, peer = adopt(receiver)
        link.close(1000, "done")
        await settle()
        assert multiplexer.count == 1
        peer.send(close(1000))
        peer.close()
        await settle()
        assert multiplexer.count == 0
        assert receiver.reasons == ["done"]

    async def test_a_peer_that_does_not_answer_our_close_is_dropped(
        self, multiplexer: Multiplexer, adopt: Adopter
    ) -> None:
        link, peer = adopt(Recorder())
        link.close(1000, "done")
        await trio.sleep(CLOSE_S - 0.1)
        assert multiplexer.count == 1
        await trio.sleep(0.2)
        assert multiplexer.count == 0
        peer.close()

    async def test_a_peer_that_does_not_read_our_close_is_dropped(
        self, multiplexer: Multiplexer, adopt: Adopter
    ) -> None:
        receiver = Recorder(limit_bytes=1_000_000)
        link, _ = adopt(receiver, buffer_bytes=4_096)
        receiver.outbox.put(prepare_text(b"x" * 500_000))
        await settle()
        link.close(1000, "done")
        await trio.sleep(CLOSE_S + 0.1)
        assert multiplexer.count == 0

    async def test_a_paused_link_still_sees_the_answer_to_our_close(
        self, multiplexer: Multiplexer, adopt: Adopter
    ) -> None:
        link, peer = adopt(Recorder())
        link.pause()
        link.close(1000, "done")
        await settle()
        peer.close()
        await settle()
        assert multiplexer.count == 0

    async def test_nothing_is_handed_up_after_our_close(self, adopt: Adopter) -> None:
        receiver = Recorder()
        link, peer = adopt(receiver)
        receiver.on_message = lambda message: link.close(1000, "enough")
        peer.send(text("one") + text("two"))
        await settle()
        peer.send(text("three"))
        await settle()
        assert receiver.messages == ["one"]

    async def test_a_broken_rule_is_answered_with_its_code(self, adopt: Adopter) -> None:
        receiver = Recorder()
        _, peer = adopt(receiver)
        peer.send(text("fine") + b"\x81\x01x")  # not masked
        await settle()
        (frame,) = peer.frames()
        assert (frame.opcode, frame.code) == (CLOSE, 1002)
        assert receiver.messages == ["fine"]
        assert receiver.reasons == ["parse error: client frames must be masked"]

    async def test_abort_while_bytes_wait_for_the_kernel_frees_everything(
        self, multiplexer: Multiplexer, adopt: Adopter
    ) -> None:
        receiver = Recorder(limit_bytes=1_000_000)
        link, peer = adopt(receiver, buffer_bytes=4_096)
        receiver.outbox.put(prepare_text(b"x" * 500_000))
        await settle()
        link.abort("enough")
        receiver.outbox.put(prepare_text(b"late"))
        peer.read()
        await settle()
        assert (multiplexer.count, receiver.reasons) == (0, ["enough"])

    async def test_a_link_may_be_aborted_by_a_message_on_another(
        self, multiplexer: Multiplexer, adopt: Adopter
    ) -> None:
        one, other = Recorder(), Recorder()
        link, peer = adopt(one)
        other_link, other_peer = adopt(other)
        one.on_message = lambda message: other_link.abort("kicked")
        other.on_message = lambda message: link.abort("kicked")
        peer.send(text("a"))
        other_peer.send(text("b"))  # both are ready in one batch: whoever is read first wins
        await settle()
        assert len(one.messages) + len(other.messages) == 1
        assert one.reasons + other.reasons == ["kicked"]
        assert multiplexer.count == 1

    async def test_waiting_for_the_last_link_ends_when_it_is_gone(
        self, multiplexer: Multiplexer, adopt: Adopter, nursery: trio.Nursery
    ) -> None:
        links = [adopt(Recorder())[0] for _ in range(3)]
        emptied = trio.Event()

        async def wait() -> None:
            await multiplexer.wait_empty()
            emptied.set()

        nursery.start_soon(wait)
        for link in links:
            await settle()
            assert not emptied.is_set()
            link.abort("done")
        await settle()
        assert emptied.is_set()


@BOTH
class TestFaults:
    async def test_a_receiver_that_raises_ends_its_own_link_only(self, adopt: Adopter) -> None:
        bad, good = Recorder(), Recorder()
        bad.on_message = _raise
        _, bad_peer = adopt(bad)
        _, peer = adopt(good)
        bad_peer.send(text("boom"))
        await settle()
        assert bad.reasons == ["internal error"]
        bad_peer.read()
        assert bad_peer.ended
        peer.send(text("still here"))
        await settle()
        assert good.messages == ["still here"]

    async def test_a_receiver_that_raises_when_it_is_told_of_the_end_harms_nobody(
        self, multiplexer: Multiplexer, adopt: Adopter
    ) -> None:
        class Broken(Recorder):
            def lost(self, reason: str) -> None:
                super().lost(reason)
                raise RuntimeError("lost")

        bad, good = Broken(), Recorder()
        _, bad_peer = adopt(bad)
        _, peer = adopt(good)
        bad_peer.close()
        await settle()
        peer.send(text("still here"))
        await settle()
        assert good.messages == ["still here"]
        assert bad.reasons == ["transport close"]
        assert multiplexer.count == 1

    async def test_a_receiver_that_raises_on_what_came_behind_the_handshake_ends_its_own_link_only(
        self, multiplexer: Multiplexer, adopt: Adopter
    ) -> None:
        bad, good = Recorder(), Recorder()
        bad.on_message = _raise
        with contextlib.suppress(RuntimeError):
            adopt(bad, early=text("boom"))
        assert bad.reasons == ["internal error"]
        _, peer = adopt(good)
        peer.send(text("still here"))
        await settle()
        assert good.messages == ["still here"]
        assert multiplexer.count == 1


class TestCancelling:
    async def test_every_link_is_told_and_every_socket_closed(self, wheel: Wheel, pairs: Pairs) -> None:
        multiplexer = Multiplexer(wheel=wheel, close_s=CLOSE_S)
        adopt = Adopter(multiplexer, pairs)
        receivers = [Recorder() for _ in range(3)]
        async with trio.open_nursery() as nursery:
            await nursery.start(multiplexer.run)
            peers = [adopt(receiver)[1] for receiver in receivers]
            receivers[0].outbox.put(prepare_text(b"x" * 900_000))
            await settle()
            nursery.cancel_scope.cancel()
        assert [receiver.reasons for receiver in receivers] == [["server shutting down"]] * 3
        for peer in peers:
            peer.read()
            assert peer.ended

    async def test_a_client_that_never_stops_sending_does_not_hold_it_up(
        self, wheel: Wheel, pairs: Pairs
    ) -> None:
        multiplexer = Multiplexer(wheel=wheel, close_s=CLOSE_S)
        adopt = Adopter(multiplexer, pairs)
        receiver = Recorder()
        turns = 0

        async def flood(peer: Peer) -> None:
            nonlocal turns
            while turns < 1_000:  # or the failing test would never end
                with contextlib.suppress(BlockingIOError, BrokenPipeError):
                    while True:
                        peer.sock.send(text("x" * 100) * 100)
                turns += 1
                await trio.lowlevel.cancel_shielded_checkpoint()

        async with trio.open_nursery() as nursery:
            async with trio.open_nursery() as running:
                await running.start(multiplexer.run)
                _, peer = adopt(receiver)
                nursery.start_soon(flood, peer)
                while len(receiver.messages) < 1_000:
                    await trio.lowlevel.checkpoint()
                running.cancel_scope.cancel()
            assert turns < 1_000
            nursery.cancel_scope.cancel()
            turns = 1_000
        assert receiver.reasons == ["server shutting down"]


def _raise(message: str | bytes) -> None:
    raise RuntimeError(message)
