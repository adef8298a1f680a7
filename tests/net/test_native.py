"""The compiled loops: whatever happens they do as Python's, they keep nothing, and they refuse classes they do not know."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.outbox import Outbox
from gateway.delivery.session import Session
from gateway.delivery.timers import Wheel
from gateway.net.multiplexer import Multiplexed, Multiplexer
from gateway.net.native import Native
from gateway.net.writing import STEP
from gateway.wire.frames import FrameReader
from gateway.wire.prepared import Prepared, prepare_event
from tests.net.conftest import CLOSE_S
from tests.net.fakes import Adopter, Pairs, Recorder, settle, text
from tests.support.compiled import without_descriptors

CROWD = 7
LIMIT_BYTES = 12_000

members = st.integers(0, CROWD - 1)
steps = st.one_of(
    st.tuples(st.just("put"), st.integers(0, 3), st.lists(members, max_size=8)),
    st.tuples(st.just("read"), members, st.integers(1, 20_000)),
    st.tuples(st.just("settle")),
    st.tuples(st.just("ask"), members),
    st.tuples(st.just("close"), members),
    st.tuples(st.just("hang up"), members),
)


class World:
    """A crowd of all kinds: four plain, one whose offsets go apart, one with deflate, one whose kernel takes little."""

    def __init__(self, multiplexer: Multiplexer, pairs: Pairs, native: Native | None) -> None:
        self._put_all = Outbox.put_all if native is None else native.put_all
        self.receivers = [Recorder(limit_bytes=LIMIT_BYTES) for _ in range(CROWD)]
        self.receivers[2].outbox.apart = True
        self.received = [b""] * CROWD
        self._peers = []
        self._links = []
        for number, receiver in enumerate(self.receivers):
            server, peer = pairs(buffer_bytes=4_096 if number == 4 else None)
            self._peers.append(peer)
            self._links.append(
                multiplexer.adopt(
                    server,
                    reader=FrameReader(max_message=1_000),
                    receiver=receiver,
                    outbox=receiver.outbox,
                    deflate=number == 3,
                    early=b"",
                )
            )
            receiver.on_message = lambda message: self.put(ANSWER, range(CROWD))

    def put(self, item: Prepared, whom: Any) -> None:
        self._put_all([self.receivers[number].outbox for number in whom], item)

    def do(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("put", number, whom):
                self.put(ITEMS[number], whom)
            case ("read", number, most):
                self.received[number] += self._peers[number].read(most)
            case ("ask", number):
                if not self._links[number].closing:
                    self._peers[number].send(text("all"))
            case ("close", number):
                self._links[number].close(1000, "")
            case ("hang up", number):
                self._links[number].abort("hung up")

    def state(self) -> list[tuple[Any, ...]]:
        return [
            (
                receiver.outbox.size,
                receiver.outbox.closed,
                receiver.outbox.queue,
                receiver.reasons,
                receiver.overflows,
                received,
            )
            for receiver, received in zip(self.receivers, self.received, strict=True)
        ]


# Two with a place in the log, one without, and one so large that a few of them pass the limit.
ITEMS = [
    prepare_event("new-message", b'{"n":1}', "epoch-1"),
    prepare_event("new-message", b'{"n":2}', "epoch-2"),
    prepare_event("typing", b"{}"),
    prepare_event("new-message", b'{"text":"%b"}' % (b"x" * 5_000), "epoch-3"),
]
ANSWER = prepare_event("typing", b'{"answer":true}')


@given(history=st.lists(steps, max_size=50))
def test_whatever_happens_all_forms_do_the_same(history: list[tuple[Any, ...]], compiled: Native) -> None:
    async def scenario() -> None:
        wheel, pairs = Wheel(), Pairs()
        worlds = []
        async with trio.open_nursery() as nursery:
            for native in (None, compiled, without_descriptors(compiled)):
                multiplexer = Multiplexer(wheel=wheel, close_s=CLOSE_S, native=native)
                await nursery.start(multiplexer.run)
                worlds.append(World(multiplexer, pairs, native))
            for step in (*history, ("settle",), *(("read", number, 1 << 20) for number in range(CROWD))):
                if step[0] == "ask":  # or it would be chance whether reading or writing comes first
                    await settle()
                for world in worlds:
                    world.do(step)
                if step[0] in ("ask", "settle"):
                    await settle()
                assert worlds[0].state() == worlds[1].state() == worlds[2].state()
            nursery.cancel_scope.cancel()
        pairs.close()

    trio.run(scenario)


@pytest.mark.parametrize("native", [True], ids=["compiled"], indirect=True)
async def test_nothing_is_kept_of_what_has_been_sent(
    multiplexer: Multiplexer, adopt: Adopter, compiled: Native
) -> None:
    crowd = [Recorder() for _ in range(STEP + 8)]
    peers = []
    for receiver in crowd:
        link, peer = adopt(receiver)
        peers.append(peer)
    del link, receiver, peer
    crowd[1].outbox.apart = True
    outboxes = [receiver.outbox for receiver in crowd]

    async def tell() -> None:
        for burst in (1, 3):
            for item in ITEMS[:burst]:
                compiled.put_all(outboxes, item)
            await settle()
        for peer in peers:
            peer.read()

    def references() -> list[int]:
        gc.collect()
        shared = [None, True, 0, *ITEMS, *(item.frame for item in ITEMS), ITEMS[0].apart]
        return [
            sys.getrefcount(one)
            for one in (
                *shared,
                *outboxes,
                *(outbox.carrier for outbox in outboxes),
                multiplexer.writing.marked,
            )
        ]

    await tell()  # what was joined last is kept, once
    before = references()
    for _ in range(20):
        await tell()
    after = references()
    # Others hold None and the like too, and let go as they please; a leak would be hundreds.
    assert [one for one in zip(before, after, strict=True) if one[1] - one[0] > 10] == []


def test_who_is_left_to_python_is_taken_out_all_the_same(compiled: Native) -> None:
    turn: list[Any] = ["not a link", "another"]
    left: list[Any] = compiled.flush(turn, 1)
    assert left == [("another", None, 0)]
    assert turn == ["not a link"]


def test_arguments_of_another_kind_are_refused(compiled: Native) -> None:
    wrong: Any = compiled
    calls: list[Callable[[], object]] = [
        lambda: wrong.flush((), 1),
        lambda: wrong.flush([], -1),
        lambda: wrong.put_all((), ITEMS[0]),
        lambda: wrong.put_all([], b"bytes"),
        lambda: wrong.outboxes_of({}, ["ann"], None),
        lambda: wrong.outboxes_of({"ann": [1]}, ("ann",), None),
        lambda: wrong.outboxes_of({"ann": (1,)}, ("ann",), None),
        lambda: wrong.outboxes_of({}, ([],), None),
    ]
    for call in calls:
        with pytest.raises(TypeError):
            call()


def test_classes_without_those_slots_are_refused(compiled: Native) -> None:
    class Loose:
        frame = b""

    bind: Any = type(compiled)
    known: dict[str, Any] = {"session": Session, "outbox": Outbox, "prepared": Prepared, "link": Multiplexed}
    for name in known:
        with pytest.raises((TypeError, AttributeError)):
            bind(**{**known, name: Loose})
