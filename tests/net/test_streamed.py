"""A WebSocket on a Trio stream: the same link as the multiplexer's, with two tasks of its own."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import trio
from trio.testing import MemoryReceiveStream, MemorySendStream, lockstep_stream_pair

from gateway.delivery.timers import Wheel
from gateway.net.streamed import Streamed
from gateway.wire.frames import FrameReader
from gateway.wire.prepared import prepare_text
from tests.net.conftest import CLOSE_S
from tests.net.fakes import CLOSE, PONG, Frame, Recorder, close, parse_frames, settle, text
from tests.wire.client import masked

WRITE_S = 20.0


class Swallowing:
    """The client's end of a server whose writes are all taken at once."""

    def __init__(self) -> None:
        self._sent, self._received = MemorySendStream(), MemoryReceiveStream()
        self.server = trio.StapledStream(self._sent, self._received)

    async def send_all(self, data: bytes) -> None:
        self._received.put_data(data)

    async def receive_some(self, most: int) -> bytes:
        return bytes(await self._sent.get_data(most))

    def written(self) -> bytes:
        """What the server has written since the last look."""
        with contextlib.suppress(trio.WouldBlock):
            return bytes(self._sent.get_data_nowait())
        return b""

    async def aclose(self) -> None:
        self._received.put_eof()
        self._sent.close()


class Line:
    """A link in service, and the client's end.

    Args:
        lockstep: nothing is taken from the server before the client reads it.
    """

    server: trio.abc.Stream
    client: Any

    def __init__(
        self,
        wheel: Wheel,
        *,
        lockstep: bool = False,
        early: bytes = b"",
        receiver: Recorder | None = None,
    ) -> None:
        if lockstep:
            self.server, self.client = lockstep_stream_pair()
        else:
            self.client = Swallowing()
            self.server = self.client.server
        self.receiver = receiver or Recorder()
        self.link = Streamed(
            self.server,
            reader=FrameReader(max_message=1_000_000),
            receiver=self.receiver,
            outbox=self.receiver.outbox,
            wheel=wheel,
            close_s=CLOSE_S,
            write_s=WRITE_S,
            deflate=False,
        )
        self.ended_at: float | None = None
        self.raised: BaseException | None = None
        self._early = early

    async def run(self) -> None:
        try:
            await self.link.run(self._early)
        except Exception as error:  # what the door would log
            self.raised = error
        self.ended_at = trio.current_time()

    def put(self, payload: bytes) -> None:
        self.receiver.outbox.put(prepare_text(payload))

    def frames(self) -> list[Frame]:
        return parse_frames(self.client.written())


@pytest.fixture
async def line(wheel: Wheel, nursery: trio.Nursery) -> Line:
    line = Line(wheel)
    nursery.start_soon(line.run)
    await settle()
    return line


@pytest.fixture
async def slow(wheel: Wheel, nursery: trio.Nursery) -> Line:
    """One whose client reads only when the test does."""
    line = Line(wheel, lockstep=True)
    nursery.start_soon(line.run)
    await settle()
    return line


class TestReading:
    async def test_messages_come_in_order_however_the_bytes_are_cut(self, line: Line) -> None:
        stream = text("one") + masked(0x82, b"two") + text("three" * 100)
        for cut in range(0, len(stream), 7):
            await line.client.send_all(stream[cut : cut + 7])
            await settle()
        assert line.receiver.messages == ["one", b"two", "three" * 100]

    async def test_what_came_behind_the_handshake_is_read_first(
        self, wheel: Wheel, nursery: trio.Nursery
    ) -> None:
        line = Line(wheel, early=text("early") + text("late")[:4])
        nursery.start_soon(line.run)
        await line.client.send_all(text("late")[4:])
        await settle()
        assert line.receiver.messages == ["early", "late"]

    async def test_a_ping_is_answered_with_its_payload(self, line: Line) -> None:
        await line.client.send_all(masked(0x89, b"are you there"))
        await settle()
        assert line.frames() == [Frame(PONG, b"are you there")]

    async def test_a_paused_link_reads_at_most_what_is_on_its_way(self, line: Line) -> None:
        line.link.pause()
        for number in range(5):
            await line.client.send_all(text(str(number)))
            await settle()
        assert len(line.receiver.messages) <= 1
        line.link.resume()
        await settle()
        assert line.receiver.messages == ["0", "1", "2", "3", "4"]


class TestWriting:
    async def test_everything_put_in_one_tick_is_one_write_in_order(self, line: Line) -> None:
        writes: list[bytes] = []

        async def note() -> None:
            writes.append(line.client.written())

        line.client.server.send_stream.send_all_hook = note
        for number in range(5):
            line.put(b"%d" % number)
        await settle()
        (write,) = writes
        assert [frame.payload for frame in parse_frames(write)] == [b"0", b"1", b"2", b"3", b"4"]

    async def test_what_is_put_during_a_write_follows_in_order(self, slow: Line) -> None:
        sent = [b"%05d" % number for number in range(50)]
        received = b""
        for payload in sent:
            slow.put(payload)
            await settle()
            received += await slow.client.receive_some(5)
        while slow.receiver.outbox.size or slow.receiver.outbox.queue:
            received += await slow.client.receive_some(100)
            await settle()
        with trio.move_on_after(1):
            received += await slow.client.receive_some(10_000)
        assert [frame.payload for frame in parse_frames(received)] == sent

    async def test_the_outbox_counts_what_is_not_written(self, slow: Line) -> None:
        put = 0
        for number in range(10):
            item = prepare_text(b"x" * number * 10)
            put += len(item.frame)
            slow.receiver.outbox.put(item)
            await settle()
            assert slow.receiver.outbox.size == put
        received = 0
        while received < put:
            received += len(await slow.client.receive_some(10_000))
            await settle()
        assert slow.receiver.outbox.size == 0

    async def test_a_reader_that_stops_is_dropped_at_the_bound(
        self, wheel: Wheel, nursery: trio.Nursery
    ) -> None:
        line = Line(wheel, lockstep=True, receiver=Recorder(limit_bytes=50_000))
        nursery.start_soon(line.run)
        await settle()
        for _ in range(100):
            line.put(b"x" * 10_000)
            assert line.receiver.outbox.size <= 50_000
            await settle()
        assert (line.receiver.overflows, line.receiver.reasons) == (1, ["slow consumer"])
        assert line.ended_at is not None

    async def test_a_reader_that_stops_is_dropped_when_its_time_is_over(self, slow: Line) -> None:
        slow.put(b"x")
        await trio.sleep(WRITE_S - 1)
        assert slow.receiver.reasons == []
        await trio.sleep(2)
        assert slow.receiver.reasons == ["write timeout"]
        assert slow.ended_at is not None

    async def test_a_peer_that_is_gone_ends_the_link(self, line: Line) -> None:
        await line.client.aclose()
        line.put(b"anyone")
        await settle()
        assert len(line.receiver.reasons) == 1
        assert line.ended_at is not None


class TestClosing:
    async def test_the_peers_close_is_echoed_and_the_server_ends_first(self, line: Line) -> None:
        before = trio.current_time()
        await line.client.send_all(close(1001) + text("after the close"))
        await settle()
        (frame,) = line.frames()
        assert (frame.opcode, frame.code) == (CLOSE, 1001)
        assert (line.receiver.messages, line.receiver.reasons) == ([], ["transport close"])
        assert line.ended_at == before

    async def test_our_close_follows_everything_queued_and_waits_for_the_peers(self, line: Line) -> None:
        for number in range(5):
            line.put(b"%d" % number)
        line.link.close(1001, "going away")
        assert line.receiver.reasons == ["going away"]
        await settle()
        *messages, last = line.frames()
        assert [frame.payload for frame in messages] == [b"0", b"1", b"2", b"3", b"4"]
        assert (last.opcode, last.code) == (CLOSE, 1001)
        assert line.ended_at is None
        await line.client.send_all(text("not read") + close(1001))
        await settle()
        assert line.ended_at == trio.current_time()
        assert line.receiver.messages == []

    async def test_a_close_from_within_a_message_waits_for_the_peers_as_well(self, line: Line) -> None:
        line.receiver.on_message = lambda message: line.link.close(1000, "enough")
        await line.client.send_all(text("one") + text("two"))
        await settle()
        assert line.receiver.messages == ["one"]
        assert line.ended_at is None
        await line.client.send_all(close(1000))
        await settle()
        assert line.ended_at == trio.current_time()

    async def test_nothing_follows_our_close(self, line: Line) -> None:
        line.link.close(1000, "done")
        line.put(b"too late")
        await settle()
        line.put(b"much too late")
        await settle()
        assert [frame.opcode for frame in line.frames()] == [CLOSE]

    async def test_a_peer_that_does_not_answer_our_close_is_dropped(self, line: Line) -> None:
        line.link.close(1000, "done")
        await trio.sleep(CLOSE_S + 0.1)
        assert line.ended_at == pytest.approx(CLOSE_S, abs=0.02)

    async def test_a_peer_that_does_not_read_our_close_is_dropped(self, slow: Line) -> None:
        slow.put(b"x" * 1_000)
        await settle()
        slow.link.close(1000, "done")
        await trio.sleep(CLOSE_S + 0.1)
        assert slow.ended_at == pytest.approx(CLOSE_S, abs=0.02)
        assert slow.receiver.reasons == ["done"]

    async def test_a_paused_link_still_sees_the_answer_to_our_close(self, line: Line) -> None:
        line.link.pause()
        await line.client.send_all(text("on its way"))
        await settle()
        line.link.close(1000, "done")
        await settle()
        await line.client.send_all(close(1000))
        await settle()
        assert line.ended_at == trio.current_time()

    async def test_a_broken_rule_is_answered_with_its_code(self, line: Line) -> None:
        await line.client.send_all(text("fine") + b"\x81\x01x")  # not masked
        await settle()
        (frame,) = line.frames()
        assert (frame.opcode, frame.code) == (CLOSE, 1002)
        assert line.receiver.reasons == ["parse error: client frames must be masked"]

    async def test_abort_while_a_write_waits_ends_everything(self, slow: Line) -> None:
        slow.put(b"x" * 1_000)
        await settle()
        slow.link.abort("enough")
        slow.put(b"late")
        await settle()
        assert (slow.receiver.reasons, slow.ended_at) == (["enough"], trio.current_time())


class TestFaults:
    async def test_a_receiver_that_raises_ends_the_link(self, line: Line) -> None:
        line.receiver.on_message = _raise
        await line.client.send_all(text("boom"))
        await settle()
        assert len(line.receiver.reasons) == 1
        assert line.ended_at is not None

    async def test_a_receiver_that_raises_on_what_came_behind_the_handshake_is_told_of_the_end(
        self, wheel: Wheel, nursery: trio.Nursery
    ) -> None:
        line = Line(wheel, early=text("boom"))
        line.receiver.on_message = _raise
        nursery.start_soon(line.run)
        await settle()
        assert len(line.receiver.reasons) == 1
        assert line.ended_at is not None


class TestCancelling:
    @pytest.mark.parametrize("lockstep", [False, True])
    async def test_the_receiver_is_told(self, wheel: Wheel, lockstep: bool) -> None:
        line = Line(wheel, lockstep=lockstep)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(line.run)
            await settle()
            line.put(b"in a write, or written")
            await settle()
            nursery.cancel_scope.cancel()
        assert line.receiver.reasons == ["server shutting down"]

    async def test_in_the_middle_of_our_close_it_is_told_once(self, wheel: Wheel) -> None:
        line = Line(wheel)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(line.run)
            await settle()
            line.link.close(1000, "done")
            await settle()
            nursery.cancel_scope.cancel()
        assert line.receiver.reasons == ["done"]


def _raise(message: str | bytes) -> None:
    raise RuntimeError(message)
