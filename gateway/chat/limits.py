"""How often one user may do one thing: token buckets (contract 1.5)."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Literal, TypeAlias

import trio

from gateway.config import Limits
from gateway.errors import RateLimited

Action: TypeAlias = Literal[
    "send-message",
    "join-room",
    "typing",
    "upload-presign",
    "call-start",
    "call-token-refresh",
    "search",
]

SWEEP_AT = 1_000
"""Fewer buckets are not worth a sweep."""

Bucket: TypeAlias = tuple[str, str, str]
"""Tenant, user and action."""


class Limiter:
    """A token bucket for each (tenant, user, action), kept as one float.

    The float is the time at which the bucket will be full again (GCRA, the virtual scheduling form of ITU-T
    I.371): a token moves it on by one refill interval, and a token is there while it lies at most ``burst -
    1`` intervals ahead. Nothing has to be refilled, and a bucket whose time has passed is full, which is what
    a missing one is.

    Full buckets are swept out whenever there are twice as many as the last sweep has left. Should nearly ``bound`` be left,
    all of them drained just now, the half that has the least to refill is forgotten, too: it is full again a little early.

    Args:
        clock: seconds, never going back.
        bound: most buckets; about 200 bytes each.
    """

    def __init__(
        self, limits: Limits, *, clock: Callable[[], float] = trio.current_time, bound: int = 100_000
    ) -> None:
        rates = {
            "send-message": limits.send_message,
            "join-room": limits.join_room,
            "typing": limits.typing,
            "call-start": limits.call_start,
            "call-token-refresh": limits.call_token_refresh,
            "upload-presign": limits.upload_presign,
            "search": limits.search,
        }
        self._rules = {
            action: (1 / rate.per_s, (rate.burst - 1) / rate.per_s) for action, rate in rates.items()
        }
        self._clock = clock
        self._bound = bound
        self._buckets: dict[Bucket, float] = {}
        self._sweep_at = min(SWEEP_AT, bound)
        self._taken: dict[Bucket, float] | None = None  # in seconds of refill; None while nobody asks

    def require(self, tenant_id: str, user_id: str, action: Action, *, tokens: int = 1) -> None:
        """Take tokens, or refuse.

        Raises:
            RateLimited: there are not enough; nothing was taken.
        """
        retry_after_s = self.take(tenant_id, user_id, action, tokens=tokens)
        if retry_after_s:
            raise RateLimited("Too many requests of this kind, try again soon.", retry_after_s=retry_after_s)

    def take(self, tenant_id: str, user_id: str, action: Action, *, tokens: int = 1) -> float:
        """Take tokens. Returns 0, or the seconds until there are so many; then nothing was taken.

        Args:
            tokens: what costs more than a full bucket costs a full bucket.
        """
        interval, ahead = self._rules[action]
        more = 0.0 if tokens == 1 else min((tokens - 1) * interval, ahead)
        now = self._clock()
        key = (tenant_id, user_id, action)
        full_at = self._buckets.get(key, now)
        if full_at < now:
            full_at = now
        # A nanosecond of grace: the sums of a float must not make a full bucket one token smaller.
        wait = full_at + more - now - ahead - 1e-9
        if wait > 0:
            return wait
        self._buckets[key] = full_at + more + interval
        if len(self._buckets) > self._sweep_at:
            self._sweep(now)
        if self._taken is not None and (key in self._taken or len(self._taken) < self._bound):
            self._taken[key] = self._taken.get(key, 0.0) + more + interval
        return 0.0

    def _sweep(self, now: float) -> None:
        """Forget who has nothing to pay back, and if need be more."""
        left = {key: full_at for key, full_at in self._buckets.items() if full_at > now}
        if len(left) * 4 > self._bound * 3:
            left = dict(sorted(left.items(), key=itemgetter(1))[-(self._bound // 2) :])
        self._buckets = left
        self._sweep_at = min(max(SWEEP_AT, 2 * len(left)), self._bound)

    def what_was_taken(self, *, go_on: bool) -> dict[Bucket, float]:
        """What was taken from which bucket since the last call, in seconds that refilling it takes.

        Args:
            go_on: count on; nothing is counted before the first call, nor after one that does not go on.
        """
        taken, self._taken = self._taken, {} if go_on else None
        return taken or {}

    def charge(self, key: Bucket, seconds: float) -> None:
        """So much was taken elsewhere from what is the same bucket; it may go into debt by that."""
        now = self._clock()
        self._buckets[key] = max(self._buckets.get(key, now), now) + seconds
        if len(self._buckets) > self._sweep_at:
            self._sweep(now)
