"""Finding again what was said."""

from __future__ import annotations

from gateway.records import SearchPage
from gateway.store import searching
from gateway.store.operations.base import Operations
from gateway.store.ports import SearchQuery

# What a person waits for; a search that takes longer has too much to read, and reads it for nobody.
SEARCH_S = 2.0


class SearchOperations(Operations):
    """``gateway.store.ports.Search`` in SQL."""

    async def search(self, query: SearchQuery) -> SearchPage:
        full_text = self._database.full_text
        return await self._database.read_aside(
            lambda db: searching.page(db, full_text, query), within_s=SEARCH_S
        )

    async def index_messages(self) -> bool:
        full_text = self._database.full_text
        if not await self._read(full_text.is_behind):
            return False
        return await self._write(None, full_text.index)
