"""What the SQL files need of a database, and the two ways in which they read from it.

Domain files (``messages``, ``rooms``, …) say each statement once, in the SQL that SQLite and PostgreSQL share:
``?`` for values, ``ON CONFLICT``, ``RETURNING``, ``IS NOT DISTINCT FROM``, ``CASE`` instead of the scalar
``max`` and ``min``, and ``CROSS JOIN`` where SQLite must keep to an order. What a value is compared with or
stored in gives it its type.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol


class Counter(Protocol):
    """Where a cursor is: it knows what the last statement did."""

    def changes(self) -> int:
        """How many rows the last ``INSERT``, ``UPDATE`` or ``DELETE`` changed."""
        ...


class Rows(Protocol):
    """What a statement found; who does not read all of it runs another statement with the same cursor."""

    def __iter__(self) -> Iterator[Any]: ...
    def fetchall(self) -> list[Any]: ...


class Cursor(Protocol):
    """Runs statements in one transaction. An ``apsw.Cursor`` is one, and so is ``postgresql.Session``."""

    @property
    def connection(self) -> Counter: ...

    def execute(self, sql: str, values: Sequence[Any] = ..., /) -> Rows: ...
    def executemany(self, sql: str, values: Iterable[Sequence[Any]], /) -> Rows: ...


def rows(db: Cursor, sql: str, values: Sequence[Any] = ()) -> list[Any]:
    """All rows of a statement, as tuples. Nothing stays open: an unfinished statement would hold its
    snapshot.
    """
    return db.execute(sql, values).fetchall()


def row(db: Cursor, sql: str, values: Sequence[Any] = ()) -> Any | None:
    """The first row of a statement, or None."""
    found = db.execute(sql, values).fetchall()
    return found[0] if found else None
