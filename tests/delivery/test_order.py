"""A tenant's durable events are delivered in the order of their numbers, each once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.bus import Envelope
from gateway.delivery.order import WAITING_BYTES, Order
from gateway.records import LogEvent
from tests.delivery.conftest import TENANT


def event(number: int, *, tenant_id: str = TENANT, payload: bytes = b"{}") -> Envelope:
    return Envelope(tenant_id, ("ann",), "new-message", payload, number=number, epoch="e")


def logged(*numbers: int) -> list[LogEvent]:
    return [LogEvent(number, "e", "new-message", b"{}", ("ann",)) for number in numbers]


class Watched:
    """An order that attends to ``TENANT`` from number 0 on, what it has delivered, and where it has seen gaps."""

    def __init__(self) -> None:
        self.delivered: list[Envelope] = []
        self.gaps: list[str] = []
        self.order = Order(self.delivered.append)
        self.order.on_gap(self.gaps.append)
        self.order.begin(TENANT, 0)

    @property
    def numbers(self) -> list[int]:
        return [envelope.number for envelope in self.delivered]


def test_what_comes_in_order_is_delivered_at_once() -> None:
    watched = Watched()
    for number in (1, 2, 3):
        watched.order.take(event(number))
        assert watched.numbers[-1] == number
    assert watched.gaps == []
    assert watched.order.position(TENANT) == 3


def test_what_comes_early_waits_for_what_is_missing_and_says_so() -> None:
    watched = Watched()
    for number in (3, 2, 5):
        watched.order.take(event(number))
    assert (watched.numbers, watched.gaps) == ([], [TENANT] * 3)
    watched.order.take(event(1))
    assert watched.numbers == [1, 2, 3]
    watched.order.take(event(4))
    assert watched.numbers == [1, 2, 3, 4, 5]
    assert watched.order.statistics()["waiting"] == 0


def test_what_has_been_delivered_is_not_delivered_again() -> None:
    watched = Watched()
    for number in (1, 2, 1, 2, 4, 4, 3, 4):
        watched.order.take(event(number))
    assert watched.numbers == [1, 2, 3, 4]
    assert watched.order.statistics()["late"] == 3


def test_what_happened_before_the_tenant_was_attended_is_of_no_concern() -> None:
    watched = Watched()
    watched.order.begin("late", 10)
    watched.order.take(event(10, tenant_id="late"))
    watched.order.take(event(11, tenant_id="late"))
    assert watched.numbers == [11]


def test_to_begin_again_changes_nothing() -> None:
    watched = Watched()
    watched.order.take(event(1))
    watched.order.begin(TENANT, 0)
    watched.order.begin(TENANT, 7)
    assert watched.order.position(TENANT) == 1


def test_what_is_not_in_the_log_waits_for_nothing() -> None:
    watched = Watched()
    watched.order.take(event(2))
    watched.order.take(event(0))
    assert watched.numbers == [0]


def test_tenants_do_not_wait_for_each_other() -> None:
    watched = Watched()
    watched.order.begin("other", 0)
    watched.order.take(event(2))
    watched.order.take(event(1, tenant_id="other"))
    assert watched.numbers == [1]


def test_the_log_fills_a_gap_and_lets_go_what_waited_once() -> None:
    watched = Watched()
    watched.order.take(event(4))
    watched.order.take(event(6))
    watched.order.heal(TENANT, logged(1, 2, 3, 4))
    assert watched.numbers == [1, 2, 3, 4]
    watched.order.heal(TENANT, logged(5, 6, 7))
    assert watched.numbers == [1, 2, 3, 4, 5, 6, 7]
    assert watched.order.statistics()["waiting"] == 0


def test_what_the_log_no_longer_has_is_passed_over() -> None:
    watched = Watched()
    for number in (3, 7):
        watched.order.take(event(number))
    watched.order.heal(TENANT, logged(5, 6))
    assert watched.numbers == [5, 6, 7]
    assert (watched.order.statistics()["swept"], watched.order.statistics()["waiting"]) == (4, 0)


def test_what_is_read_from_the_log_late_does_no_harm() -> None:
    watched = Watched()
    for number in (1, 2, 3):
        watched.order.take(event(number))
    watched.order.heal(TENANT, logged(2, 3, 4))
    watched.order.heal(TENANT, [])
    watched.order.heal("nobody of it is here", logged(1))
    assert watched.numbers == [1, 2, 3, 4]


def test_what_waits_is_bounded_and_what_found_no_room_comes_from_the_log() -> None:
    watched = Watched()
    big = WAITING_BYTES // 4
    for number in range(2, 8):
        watched.order.take(event(number, payload=b"x" * big))
    assert watched.order.statistics()["refused"] == 2
    watched.order.heal(TENANT, logged(1))
    assert watched.numbers == [1, 2, 3, 4, 5]
    for number in range(10, 14):  # the room is there again
        watched.order.take(event(number, payload=b"x" * big))
    assert watched.order.statistics()["refused"] == 2


def test_a_tenant_that_has_gone_leaves_nothing_behind() -> None:
    watched = Watched()
    for _ in range(5):
        watched.order.take(event(3, payload=b"x" * (WAITING_BYTES // 2)))
        watched.order.take(event(4, payload=b"x" * (WAITING_BYTES // 2)))
        watched.order.end(TENANT)
        assert watched.order.statistics()["tenants"] == watched.order.statistics()["waiting"] == 0
        watched.order.begin(TENANT, 0)
    assert watched.order.statistics()["refused"] == 0


@given(st.data())
def test_however_events_come_each_is_delivered_once_and_in_order(data: st.DataObject) -> None:
    """Events arrive shuffled, doubled and with losses, from the bus and from a log that is read now and then."""
    watched = Watched()
    last = data.draw(st.integers(1, 30))
    arrivals = data.draw(st.lists(st.integers(1, last), max_size=80))
    for number in arrivals:
        watched.order.take(event(number))
        position = watched.order.position(TENANT)
        assert position is not None
        assert watched.numbers == list(range(1, position + 1))
        if data.draw(st.booleans()) and data.draw(st.booleans()):
            after = data.draw(
                st.integers(0, position)
            )  # what was missing may have come while the log was read
            limit = data.draw(st.integers(1, 5))
            watched.order.heal(TENANT, logged(*range(after + 1, min(after + limit, last) + 1)))
    while (position := watched.order.position(TENANT)) != last:
        assert position is not None
        watched.order.heal(TENANT, logged(*range(position + 1, min(position + 3, last) + 1)))
    assert watched.numbers == list(range(1, last + 1))
    assert watched.order.statistics()["waiting"] == 0
