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
        self._young: dict[tuple[str, str, str], float] = {}
        self._old: dict[tuple[str, str, str], float] = {}

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
        if len(self._young) >= self._bound and key not in self._young:
            self._old, self._young = self._young, {}
        self._young[key] = full_at + more + interval
        return 0.0
