"""The outbox: bounded in bytes, one owner who is told, one carrier who is woken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.outbox import Outbox
from gateway.net.native import Native
from gateway.wire.prepared import Prepared, prepare_text
from tests.delivery.conftest import Owner
from tests.support.compiled import BOTH


class Carrier:
    """Counts how often it is woken."""

    def __init__(self) -> None:
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1


def item(size: int) -> Prepared:
    """A packet whose frame has this many bytes."""
    prepared = prepare_text(b"x" * (size - 2))
    assert len(prepared.frame) == size < 128
    return prepared


def outbox(limit_bytes: int) -> tuple[Outbox, Owner, Carrier]:
    owner, carrier = Owner(), Carrier()
    made = Outbox(limit_bytes, owner)
    made.carrier = carrier
    return made, owner, carrier


def test_it_holds_up_to_its_limit_to_the_byte() -> None:
    box, owner, _ = outbox(100)
    box.put(item(60))
    box.put(item(40))
    assert (box.size, owner.overflows, box.closed) == (100, 0, False)


def test_a_byte_more_closes_it_and_its_owner_is_told_once() -> None:
    box, owner, _ = outbox(100)
    kept = item(60)
    box.put(kept)
    for _ in range(3):
        box.put(item(41))
        box.put(item(2))
    assert (owner.overflows, box.closed) == (1, True)
    assert box.queue == [kept]


def test_a_single_packet_over_the_limit_is_an_overflow_too() -> None:
    box, owner, _ = outbox(50)
    box.put(item(51))
    assert owner.overflows == 1


def test_what_the_carrier_has_taken_counts_until_it_is_written() -> None:
    box, owner, _ = outbox(100)
    box.put(item(60))
    box.take()
    box.put(item(41))
    assert owner.overflows == 1


def test_what_is_written_makes_room() -> None:
    box, owner, _ = outbox(100)
    for _ in range(10):
        box.put(item(60))
        box.size -= sum(len(taken.frame) for taken in box.take())
    assert owner.overflows == 0


def test_the_packet_is_shared_and_never_copied() -> None:
    packet = item(10)
    boxes = [outbox(100)[0] for _ in range(3)]
    for box in boxes:
        box.put(packet)
    assert all(box.take()[0] is packet for box in boxes)


def test_the_carrier_is_woken_once_per_emptying() -> None:
    box, _, carrier = outbox(100)
    box.put(item(10))
    box.put(item(10))
    assert carrier.woken == 1
    box.take()
    box.put(item(10))
    assert carrier.woken == 2


def test_without_a_carrier_it_keeps_what_it_is_given() -> None:
    box = Outbox(100, Owner())
    box.put(item(10))
    assert len(box.take()) == 1


@pytest.mark.parametrize(("filled", "kept"), [(24, True), (25, False), (90, False)])
def test_a_transient_packet_is_dropped_when_a_quarter_is_full(filled: int, kept: bool) -> None:
    box, owner, _ = outbox(100)
    box.put(item(filled))
    box.put_transient(item(3))
    assert len(box.queue) == 1 + kept
    assert owner.overflows == 0


def test_a_transient_packet_is_queued_like_any_other_when_nothing_lags() -> None:
    box, _, carrier = outbox(100)
    box.put_transient(item(10))
    assert (len(box.queue), box.size, carrier.woken) == (1, 10, 1)


def test_a_closed_one_takes_nothing_more_but_gives_what_it_has() -> None:
    box, owner, carrier = outbox(100)
    box.put(item(10))
    box.close()
    box.put(item(10))
    box.put_transient(item(10))
    assert (len(box.take()), owner.overflows, carrier.woken) == (1, 0, 1)


@BOTH
@given(
    history=st.lists(st.tuples(st.integers(2, 120), st.booleans()), max_size=60), limit=st.integers(10, 400)
)
def test_putting_on_all_at_once_is_putting_on_each(
    history: list[tuple[int, bool]], limit: int, native: Native | None
) -> None:
    put_all = Outbox.put_all if native is None else native.put_all
    one, one_owner, one_carrier = outbox(limit)
    other, other_owner, other_carrier = outbox(limit)
    for size, taken in history:
        packet = item(size)
        one.put(packet)
        put_all([other], packet)
        if taken:
            one.size = other.size = 0
            assert one.take() == other.take()
        assert (one.size, one.closed, one.queue) == (other.size, other.closed, other.queue)
        assert (one_owner.overflows, one_carrier.woken) == (other_owner.overflows, other_carrier.woken)
        assert one.size <= limit
