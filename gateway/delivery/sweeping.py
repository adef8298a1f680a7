"""What nobody comes back for any more is forgotten: events, and sockets that had a room open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import structlog
import trio

from gateway.records import now_ms

SWEEP_S = 300.0
"""Between two looks. What is forgotten is days old; it matters only that there is never much of it at once."""

BATCH = 500
"""Rows of one transaction: a few milliseconds of the writer."""

SOCKET_MS = 86_400_000
"""How much longer a socket may have its room open than events are kept: as long as a token is good (D2), and so the longest
that a socket lives."""

log = structlog.get_logger(__name__)


class Kept(Protocol):
    """What is swept (the store)."""

    async def outdated_logs(self, *, before: int) -> list[str]: ...

    async def sweep_log(self, tenant_id: str, *, before: int, limit: int) -> bool: ...

    async def forget_sockets(self, *, before: int, limit: int) -> int: ...


async def sweep(kept: Kept, *, before: int) -> None:
    """Forget what was logged before this time, in milliseconds since the epoch, and the sockets that came with it.

    Every node may do this; what one has forgotten is not there for the others.
    """
    for tenant_id in await kept.outdated_logs(before=before):
        while await kept.sweep_log(tenant_id, before=before, limit=BATCH):
            await trio.lowlevel.checkpoint()
    while await kept.forget_sockets(before=before - SOCKET_MS, limit=BATCH) == BATCH:
        await trio.lowlevel.checkpoint()


async def run_sweep(kept: Kept, *, keep_s: int, clock: Callable[[], int] = now_ms) -> None:
    """Forget what is older than ``keep_s``, for ever."""
    while True:
        try:
            await sweep(kept, before=clock() - keep_s * 1_000)
        except Exception:
            # The one boundary of sweeping: a store that is away must not end it. The next time there is more to do.
            log.exception("the logs could not be swept")
        await trio.sleep(SWEEP_S)
