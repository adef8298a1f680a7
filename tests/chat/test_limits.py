from __future__ import annotations

import pytest

from gateway.chat.limits import Limiter
from gateway.config import Limits, Rate
from gateway.errors import RateLimited


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limiter(clock: Clock, *, per_s: float = 2, burst: int = 3, bound: int = 1_000) -> Limiter:
    return Limiter(Limits(send_message=Rate(per_s=per_s, burst=burst)), clock=clock, bound=bound)


def test_a_burst_fits_and_the_next_one_is_told_how_long_to_wait(clock: Clock) -> None:
    bucket = limiter(clock)
    assert [bucket.take("t", "ann", "send-message") for _ in range(3)] == [0, 0, 0]
    assert bucket.take("t", "ann", "send-message") == pytest.approx(0.5)


def test_after_the_wait_there_is_exactly_one_token(clock: Clock) -> None:
    bucket = limiter(clock)
    for _ in range(3):
        bucket.take("t", "ann", "send-message")
    clock.now += bucket.take("t", "ann", "send-message")
    assert bucket.take("t", "ann", "send-message") == 0
    assert bucket.take("t", "ann", "send-message") > 0


def test_a_refusal_costs_nothing(clock: Clock) -> None:
    bucket = limiter(clock)
    for _ in range(50):
        bucket.take("t", "ann", "send-message")
    clock.now += 0.5
    assert bucket.take("t", "ann", "send-message") == 0


def test_a_rested_bucket_holds_no_more_than_its_burst(clock: Clock) -> None:
    bucket = limiter(clock)
    bucket.take("t", "ann", "send-message")
    clock.now += 3_600
    taken = [bucket.take("t", "ann", "send-message") == 0 for _ in range(10)]
    assert taken == [True] * 3 + [False] * 7


def test_users_tenants_and_actions_have_buckets_of_their_own(clock: Clock) -> None:
    bucket = limiter(clock, burst=1)
    assert bucket.take("t", "ann", "send-message") == 0
    assert bucket.take("t", "ann", "send-message") > 0
    assert bucket.take("t", "bob", "send-message") == 0
    assert bucket.take("other", "ann", "send-message") == 0
    assert bucket.take("t", "ann", "typing") == 0


def test_an_empty_bucket_survives_any_number_of_strangers(clock: Clock) -> None:
    bucket = limiter(clock, burst=3, per_s=0.001, bound=10)
    bucket.require("t", "ann", "send-message", tokens=3)
    for stranger in range(1_000):
        bucket.take("t", f"stranger-{stranger}", "send-message")
    assert bucket.take("t", "ann", "send-message") > 0


def test_memory_is_bounded(clock: Clock) -> None:
    bucket = limiter(clock, bound=10)
    for stranger in range(1_000):
        bucket.take("t", f"stranger-{stranger}", "send-message")
        bucket.charge(("t", f"stranger-{stranger}", "typing"), 1)
    assert len(bucket._buckets) <= 10


def test_full_buckets_take_no_memory(clock: Clock) -> None:
    bucket = limiter(clock, bound=100_000)
    for stranger in range(20_000):
        bucket.take("t", f"stranger-{stranger}", "send-message")
        clock.now += 0.01  # half a token is refilled every quarter of a second: fifty are in debt at a time
    assert len(bucket._buckets) <= 1_000


def test_several_tokens_are_taken_together_or_not_at_all(clock: Clock) -> None:
    bucket = limiter(clock)
    assert bucket.take("t", "ann", "send-message", tokens=2) == 0
    assert bucket.take("t", "ann", "send-message", tokens=2) == pytest.approx(0.5)
    assert bucket.take("t", "ann", "send-message") == 0
    assert bucket.take("t", "ann", "send-message") == pytest.approx(0.5)


def test_what_costs_more_than_a_full_bucket_costs_a_full_bucket(clock: Clock) -> None:
    bucket = limiter(clock)
    assert bucket.take("t", "ann", "send-message", tokens=100) == 0
    assert bucket.take("t", "ann", "send-message") == pytest.approx(0.5)
    clock.now += 1.4
    assert bucket.take("t", "ann", "send-message", tokens=100) == pytest.approx(0.1)


def test_who_requires_a_token_that_is_not_there_is_told_when_it_will_be(clock: Clock) -> None:
    bucket = limiter(clock)
    bucket.require("t", "ann", "send-message", tokens=3)
    with pytest.raises(RateLimited) as refused:
        bucket.require("t", "ann", "send-message")
    assert refused.value.retry_after_s == pytest.approx(0.5)
