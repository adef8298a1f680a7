"""How often one user may do one thing: token buckets (contract 1.5)."""

from __future__ import annotations

from collections.abc import Callable
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

Bucket: TypeAlias = tuple[str, str, str]
"""Tenant, user and action."""


class Limiter:
    """A token bucket for each (tenant, user, action), kept as one float.

    The float is the time at which the bucket will be full again (GCRA, the virtual scheduling form of ITU-T
    I.371): a token moves it on by one refill interval, and a token is there while it lies at most ``burst -
    1`` intervals ahead. Nothing has to be refilled, and a bucket whose time has passed is full, which is what
    a missing one is.

    Memory is bounded by two generations: when the younger has ``bound`` buckets it becomes the older, and
    what was not used for a whole generation is forgotten, that is, full again.

    Args:
        clock: seconds, never going back.
        bound: buckets in a generation; about 200 bytes each.
    """

    def __init__(
        self, limits: Limits, *, clock: Callable[[], float] = trio.current_time, bound: int = 50_000
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
        self._young: dict[Bucket, float] = {}
        self._old: dict[Bucket, float] = {}
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
        more = min((tokens - 1) * interval, ahead)
        now = self._clock()
        key = (tenant_id, user_id, action)
        full_at = self._young.get(key)
        if full_at is None:
            full_at = self._old.get(key, now)
        if full_at < now:
            full_at = now
        # A nanosecond of grace: the sums of a float must not make a full bucket one token smaller.
        wait = full_at + more - now - ahead - 1e-9
        if wait > 0:
            return wait
        self._keep(key, full_at + more + interval)
        if self._taken is not None and (key in self._taken or len(self._taken) < self._bound):
            self._taken[key] = self._taken.get(key, 0.0) + more + interval
        return 0.0

    def _keep(self, key: Bucket, full_at: float) -> None:
        if len(self._young) >= self._bound and key not in self._young:
            self._old, self._young = self._young, {}
        self._young[key] = full_at

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
        full_at = self._young.get(key)
        if full_at is None:
            full_at = self._old.get(key, now)
        self._keep(key, max(full_at, now) + seconds)
