"""Finding again what was said, and keeping what was said lately findable."""

from __future__ import annotations

import structlog
import trio

from gateway.chat.limits import Limiter
from gateway.errors import Unavailable
from gateway.records import SearchPage
from gateway.store.ports import SearchQuery, Store

# How long what was just sent may stay unfindable; a look that finds nothing to do costs some microseconds.
FOLLOW_S = 0.25
# Of the time, the part that indexing leaves to others while it is behind: under a storm of messages what is found lags,
# and not what is sent. What indexing takes is mostly waiting for commits, in which others have their turn as well.
SPARE = 0.9
# After a failure, which will likely be met again.
RETRY_S = 5.0

log = structlog.stdlib.get_logger(__name__)


class Search:
    """What REST offers for finding, and the task that follows what is sent."""

    def __init__(self, *, store: Store, limiter: Limiter) -> None:
        self._store = store
        self._limiter = limiter

    async def find(self, query: SearchQuery, *, by_server: bool) -> SearchPage:
        """What this user can read and what has the words he looks for; see ``Store.search``.

        Raises:
            RateLimited: a user searches more than ``limits.search`` allows.
            NotFound: the viewer is not in the room he searches, or there is none.
            InvalidRequest: the cursor is not one of ours.
            Unavailable: too many are searching, or it took too long.
        """
        if not by_server:
            self._limiter.require(query.tenant_id, query.viewer_id, "search")
        return await self._store.search(query)

    async def run(self) -> None:
        """Index what is sent, edited and deleted, for ever."""
        while True:
            began = trio.current_time()
            try:
                more = await self._store.index_messages()
            except Unavailable:
                await trio.sleep(RETRY_S)
            except Exception:
                # Messages go on being sent and read when they cannot be found.
                log.exception("indexing messages failed")
                await trio.sleep(RETRY_S)
            else:
                took = trio.current_time() - began
                await trio.sleep(took * SPARE / (1 - SPARE) if more else FOLLOW_S)
