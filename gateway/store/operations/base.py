"""How an operation reads and writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from gateway.store import idempotency
from gateway.store.connection import Cursor
from gateway.store.ports import Once, Written
from gateway.store.rosters import Rosters
from gateway.store.searching import FullText

T = TypeVar("T")


class Database(Protocol):
    """Where operations run: one SQLite file, or PostgreSQL.

    Raises (any method): ``Unavailable`` when the database is away or has too much to do.
    """

    def read(self, query: Callable[[Cursor], T], *, together: bool) -> Awaitable[T]: ...
    def write(
        self, tenant_id: str | None, job: Callable[[Cursor], T], then: Callable[[T], None] | None
    ) -> Written[T]: ...

    def read_aside(self, query: Callable[[Cursor], T], *, within_s: float) -> Awaitable[T]:
        """Run a read that may take long, for at most so long, all of it on one state of the database."""
        ...

    @property
    def full_text(self) -> FullText: ...

    def is_writing(self) -> bool: ...

    def statistics(self) -> dict[str, float]: ...


class Operations:
    """Base of the parts: the database, and what is remembered of rosters.

    Args:
        clock: milliseconds since the epoch; also called in other threads.
    """

    def __init__(self, *, database: Database, rosters: Rosters, clock: Callable[[], int]) -> None:
        self._database = database
        self._rosters = rosters
        self._clock = clock

    def _write(
        self,
        tenant_id: str | None,
        job: Callable[[Cursor], T],
        then: Callable[[T], None] | None = None,
        once: Once[T] | None = None,
    ) -> Written[T]:
        """Run ``job``, with no other job of this tenant between its statements, on any node.

        Args:
            tenant_id: whose rows it reads and changes; None when it is nobody's who is there already.
            then, once: see ``gateway.store.ports``.
        """
        if once is None:
            return self._database.write(tenant_id, job, then)
        guarded = once
        return self._database.write(
            tenant_id, lambda db: idempotency.run_once(db, job, guarded, self._clock()), then
        )

    def _read(self, query: Callable[[Cursor], T], *, together: bool = False) -> Awaitable[T]:
        """Run ``query``; several statements ``together`` see one state, as commits may come between any two."""
        return self._database.read(query, together=together)
