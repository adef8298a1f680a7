"""Taking session tokens back, so that every node knows it at once.

The store is the truth; it is asked about each token that has not been looked at for a minute. Until then a verdict holds
unless the token is among those that were taken back lately, which every node remembers: the node that does it tells the
others, and all look into the store twice a second, where the operator's commands and lost words are found too.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import structlog
import trio

from gateway.delivery.peers import Peers
from gateway.records import now_ms
from gateway.store.ports import Once, Revocation, Store

LOOK_S = 0.5
"""How often the store is looked into: with the walk of the sockets it must be well within a second."""

OVERLAP_MS = 60_000
"""How far back each look goes beyond the last: rows appear in the order of their commits, and clocks differ, by as much as
between nodes they may (``bus_sealed.WINDOW_MS``)."""

REMEMBERED_S = 120.0
"""How long a revocation is remembered: twice as long as a verdict on a token (``auth.VERDICT_S``)."""

MOST = 50_000
"""Bound on what is remembered; above it the oldest go, and no verdict holds for a while."""

_ENCODE = msgspec.json.encode
_DECODE = msgspec.json.Decoder(Revocation).decode

log = structlog.get_logger(__name__)


class Revocations:
    """What has been taken back lately, and how more is.

    Args:
        clock: milliseconds since the epoch, the store's.
    """

    def __init__(self, *, store: Store, peers: Peers, clock: Callable[[], int] = now_ms) -> None:
        self._store = store
        self._peers = peers
        self._clock = clock
        self._recent: dict[tuple[str, str | None, str | None], tuple[float, Revocation]] = {}
        self._told: list[Callable[[Revocation], None]] = []
        self._blind_until = -math.inf
        peers.listen("revoked", lambda _, body: self._learn(_DECODE(body)))

    def on_revoked(self, call: Callable[[Revocation], None]) -> None:
        """Call this with each revocation as soon as it is known here. It must not wait or raise."""
        self._told.append(call)

    def covers(self, tenant_id: str, *, user_id: str, jti: str, issued_at: int) -> bool:
        """Whether this token was taken back in the last ``REMEMBERED_S``; of what is older the store knows."""
        recent = self._recent
        if not recent:
            return False
        return any(
            found is not None and found[1].covers(user_id=user_id, jti=jti, issued_at=issued_at)
            for found in (
                recent.get((tenant_id, user_id, jti)),
                recent.get((tenant_id, user_id, None)),
                recent.get((tenant_id, None, None)),
            )
        )

    @property
    def quiet(self) -> bool:
        """Whether nothing was taken back lately, as nearly always."""
        return not self._recent

    @property
    def blind(self) -> bool:
        """Whether more was taken back than is remembered."""
        return self._blind_until > trio.current_time()

    async def revoke(
        self,
        tenant_id: str,
        *,
        user_id: str | None,
        jti: str | None = None,
        once: Once[Revocation] | None = None,
    ) -> Revocation:
        """Take back one token of a user, all he has been given so far, or all of the tenant.

        Raises:
            NotFound: no such tenant or user.
        """
        return await self._store.revoke(tenant_id, user_id=user_id, jti=jti, then=self._announce, once=once)

    def _announce(self, revocation: Revocation) -> None:
        self._learn(revocation)
        self._peers.say("revoked", _ENCODE(revocation))

    def _learn(self, revocation: Revocation) -> None:
        key = (revocation.tenant_id, revocation.user_id, revocation.jti)
        known = self._recent.pop(key, None)
        is_news = known is None or known[1].revoked_at < revocation.revoked_at
        if known is not None and not is_news:
            revocation = known[1]
        self._recent[key] = (trio.current_time(), revocation)
        if is_news:
            for call in self._told:
                call(revocation)
        while len(self._recent) > MOST:
            del self._recent[next(iter(self._recent))]
            self._blind_until = trio.current_time() + REMEMBERED_S

    async def run(self) -> None:
        """Find in the store what nobody told, for ever."""
        looked_at = self._clock()
        while True:
            await trio.sleep(LOOK_S)
            now = self._clock()
            try:
                for revocation in await self._store.revocations(since_ms=looked_at - OVERLAP_MS):
                    self._learn(revocation)
            except Exception:
                # The one boundary of this task: a store that is away must not end it; the next look goes as far back.
                log.exception("revocations not seen")
                continue
            looked_at = now
            forgotten = trio.current_time() - REMEMBERED_S
            while self._recent:
                key, (learnt_at, _) = next(iter(self._recent.items()))
                if learnt_at > forgotten:
                    break
                del self._recent[key]
