"""How an operation reads and writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import apsw

from gateway.errors import Unavailable
from gateway.store import idempotency
from gateway.store.connection import FAULTS
from gateway.store.ports import Once
from gateway.store.rosters import Rosters
from gateway.store.writer import Writer

T = TypeVar("T")


class Operations:
    """Base of the parts: one connection that reads, the writer, and what is remembered of rosters.

    Args:
        clock: milliseconds since the epoch.
    """

    def __init__(
        self,
        *,
        reader: apsw.Connection,
        writer: Writer,
        rosters: Rosters,
        clock: Callable[[], int],
    ) -> None:
        self._reader = reader.cursor()
        self._writer = writer
        self._rosters = rosters
        self._clock = clock

    async def _write(
        self,
        job: Callable[[apsw.Cursor], T],
        then: Callable[[T], None] | None = None,
        once: Once[T] | None = None,
    ) -> T:
        if once is None:
            return await self._writer.write(job, then)
        guarded = once
        return await self._writer.write(
            lambda db: idempotency.run_once(db, job, guarded, self._clock()), then
        )

    def _read(self, query: Callable[[apsw.Cursor], T], *, together: bool = False) -> T:
        """Run ``query``; several statements ``together`` see one state, as commits may come between any two."""
        db = self._reader
        try:
            if not together:
                return query(db)
            db.execute("BEGIN")
            try:
                return query(db)
            finally:
                db.execute("COMMIT")
        except FAULTS as error:
            raise Unavailable("The store cannot read now.") from error
