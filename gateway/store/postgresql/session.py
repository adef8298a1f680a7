"""Connections to PostgreSQL, seen as what the SQL files take.

A session belongs to one thread at a time. It commits by itself unless a transaction was begun by hand, so that
a single read costs one round trip.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from math import inf
from time import monotonic
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8Dumper

from gateway.errors import InvalidRequest, Unavailable

CONNECT_S = 5
# A statement is a lookup by an index, or waits for another node's group: it is never this slow but in trouble.
STATEMENT_MS = 5_000
# A node that stands still in the middle of a group must not keep the others waiting for its tenants' locks.
IDLE_MS = 5_000
# How long the other end of a network connection may be silent before it counts as gone.
SILENCE_MS = 10_000
# Statements kept prepared per connection; we have fewer.
PREPARED = 512

# What happened to the database or on the way to it, as against what a job did wrong.
FAULTS = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction)

_PLACEHOLDER = re.compile(r"\?")


def connect(url: str, *, read_only: bool = False, statement_ms: int = STATEMENT_MS) -> Session:
    """A new session of the database that ``url`` names.

    Raises:
        psycopg.Error: it cannot be reached, or does not let us in.
    """
    connection = psycopg.connect(
        url,
        autocommit=True,
        connect_timeout=CONNECT_S,
        fallback_application_name="gateway",
        tcp_user_timeout=SILENCE_MS,
        prepare_threshold=0,
    )
    try:
        connection.prepared_max = PREPARED
        # One type whatever the number, so that a statement is prepared once.
        connection.adapters.register_dumper(int, Int8Dumper)
        session = Session(connection)
        session.script(
            f"""
            SET statement_timeout = {statement_ms};
            SET idle_in_transaction_session_timeout = {IDLE_MS};
            SET default_transaction_isolation = 'read committed';
            SET default_transaction_read_only = {"on" if read_only else "off"}
            """
        )
    except BaseException:
        connection.close()
        raise
    return session


@lru_cache(maxsize=PREPARED)
def _numbered(sql: str) -> str:
    """``sql`` as the server reads it: ``$1`` for the first question mark, and so on. No text of ours has
    others.
    """
    numbers = iter(range(1, sql.count("?") + 1))
    return _PLACEHOLDER.sub(lambda _: f"${next(numbers)}", sql)


def _storable(values: Sequence[Any]) -> list[Any]:
    """``values`` with text as PostgreSQL can hold it: everything but NUL, for which there is a character."""
    return [one.replace("\0", "\ufffd") if isinstance(one, str) else one for one in values]


class Session:
    """One connection; a ``gateway.store.connection.Cursor``.

    Attributes:
        changed: how many rows were changed through it so far, in all.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._cursor = psycopg.RawCursor(connection)
        self._changes = 0
        self._until = inf
        self.changed = 0

    @property
    def connection(self) -> Session:
        return self

    @property
    def is_lost(self) -> bool:
        """Whether nothing more can be done with it."""
        return self._connection.closed

    @property
    def is_spoilt(self) -> bool:
        """Whether its transaction takes nothing but a rollback."""
        return self._connection.info.transaction_status not in (
            TransactionStatus.IDLE,
            TransactionStatus.INTRANS,
        )

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Session:
        """Run one statement.

        Raises:
            InvalidRequest: a value that PostgreSQL cannot hold, as a number beyond 64 bits.
            Unavailable: the time is over.
        """
        if monotonic() > self._until:
            raise Unavailable("This takes too long now.")
        try:
            self._cursor.execute(_numbered(sql), values)
        except psycopg.DataError as error:
            storable = _storable(values)
            if storable == [*values] or self.is_spoilt:
                raise InvalidRequest("The request contains a value that cannot be stored.") from error
            self._cursor.execute(_numbered(sql), storable)
        self._count()
        return self

    def executemany(self, sql: str, values: Iterable[Sequence[Any]], /) -> Session:
        self._cursor.executemany(_numbered(sql), [_storable(one) for one in values])
        self._count()
        return self

    @contextmanager
    def limited(self, within_s: float) -> Iterator[None]:
        """Let no statement begin that is later than this. One that has begun is the server's to end."""
        self._until = monotonic() + within_s
        try:
            yield
        finally:
            self._until = inf

    def script(self, statements: str) -> Any:
        """Run statements without values in one round trip; returns the one value of the last, if it has one."""
        cursor = self._connection.execute(statements.encode(), prepare=False)
        cursor.set_result(-1)
        found = cursor.fetchone() if cursor.description else None
        return None if found is None else found[0]

    def fetchall(self) -> list[Any]:
        return [] if self._cursor.description is None else self._cursor.fetchall()

    def changes(self) -> int:
        return self._changes

    def roll_back(self) -> None:
        """Undo the transaction, if there is one and still a server to undo it."""
        if self._connection.info.transaction_status is not TransactionStatus.IDLE and not self.is_lost:
            self.script("ROLLBACK")

    def close(self) -> None:
        self._connection.close()

    def _count(self) -> None:
        status = self._cursor.statusmessage
        if status is not None and not status.startswith("SELECT"):
            self._changes = max(self._cursor.rowcount, 0)
            self.changed += self._changes
