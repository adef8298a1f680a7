"""The task that keeps what is said findable, and how often one user may search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
import trio
import trio.testing

from gateway.chat.limits import Limiter
from gateway.chat.search import FOLLOW_S, RETRY_S, Search
from gateway.config import Limits, Rate
from gateway.errors import RateLimited, Unavailable
from gateway.records import SearchPage
from gateway.store.ports import SearchQuery, Store


class Index:
    """A store of which only the index is asked: each call does the next thing that is given."""

    def __init__(self, *script: bool | Exception) -> None:
        self._script = list(script)
        self.asked_at: list[float] = []

    async def index_messages(self) -> bool:
        await trio.lowlevel.checkpoint()
        self.asked_at.append(trio.current_time())
        outcome = self._script.pop(0) if self._script else False
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def search(self, query: SearchQuery) -> SearchPage:
        await trio.lowlevel.checkpoint()
        return SearchPage([], [], None)


def service(store: Any, limits: Limits | None = None) -> Search:
    return Search(store=cast(Store, store), limiter=Limiter(limits or Limits()))


@pytest.mark.parametrize(
    ("outcome", "pause_s"),
    [(True, 0), (False, FOLLOW_S), (Unavailable("full"), RETRY_S), (KeyError("a bug"), RETRY_S)],
)
async def test_the_index_is_worked_off_at_once_looked_at_often_and_left_alone_after_a_failure(
    autojump_clock: Callable[[], float], outcome: Any, pause_s: float
) -> None:
    index = Index(outcome)
    with trio.move_on_after(RETRY_S + 1):
        await service(index).run()
    first, second, *_ = index.asked_at
    assert second - first == pytest.approx(pause_s)


async def test_a_user_searches_so_often_and_the_backend_as_often_as_it_likes() -> None:
    search = service(Index(), Limits(search=Rate(per_s=1, burst=2)))
    query = SearchQuery(tenant_id="t", viewer_id="ann", text="x")
    for _ in range(5):
        await search.find(query, by_server=True)
    await search.find(query, by_server=False)
    await search.find(query, by_server=False)
    with pytest.raises(RateLimited):
        await search.find(query, by_server=False)
