"""Connections to PostgreSQL, seen as what the SQL files take.

A session belongs to one thread at a time. It commits by itself unless a transaction was begun by hand, so that
a single read costs one round trip.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from math import inf
from time import monotonic
from typing import Any

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from gateway.errors import InvalidRequest, Unavailable
from gateway.store.postgresql.pipeline import Pipeline

CONNECT_S = 5
# A statement is a lookup by an index, or waits for another node's group: it is never this slow but in trouble.
STATEMENT_MS = 5_000
# A node that stands still in the middle of a group must not keep the others waiting for its tenants' locks.
IDLE_MS = 5_000
# How long the other end of a network connection may be silent before it counts as gone.
SILENCE_MS = 10_000
# What the other end is asked when it has been silent for a while: a machine that lost its power while it had our question
# says nothing more, and what we have sent it has acknowledged. Seconds, and how often; together about the above.
PROBE_AFTER_S = 5
PROBE_EVERY_S = 2
PROBES = 3

# What happened to the database or on the way to it, as against what a job did wrong.
FAULTS = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction)


def as_told(error: Exception) -> Exception:
    """What who asked for it is told of an error: that it was his, for a value that PostgreSQL cannot hold, as a number
    beyond 64 bits.
    """
    if not isinstance(error, psycopg.DataError):
        return error
    told = InvalidRequest("The request contains a value that cannot be stored.")
    told.__cause__ = error
    return told


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
        keepalives_idle=PROBE_AFTER_S,
        keepalives_interval=PROBE_EVERY_S,
        keepalives_count=PROBES,
        client_encoding="utf8",
        cursor_factory=psycopg.RawCursor,
        prepare_threshold=None,
    )
    try:
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


class Session:
    """One connection; a ``gateway.store.connection.Cursor``.

    Statements are prepared when they are first run, and sent by libpq itself, which psycopg's own cursor takes twice as long
    for: it can be interrupted and adapts any type. Here are a thread that may wait, and five types.

    Nothing waits for the server until somebody asks for rows or a number of changes: what is only executed goes along with
    what comes next, and an error of it is raised there.

    Attributes:
        writes: how many statements that may change something were run through it so far.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._server = connection.pgconn
        self._types = Transformer(connection)
        self._pipeline = Pipeline(connection.pgconn)
        # Of the last statement: one for each time that it was run with other values.
        self._found: list[PGresult] = []
        self._until = inf
        self.writes = 0

    @property
    def connection(self) -> Session:
        return self

    @property
    def is_lost(self) -> bool:
        """Whether nothing more can be done with it."""
        return self._pipeline.is_lost

    @property
    def is_spoilt(self) -> bool:
        """Whether its transaction takes nothing but a rollback; only when it is settled."""
        return self._server.transaction_status not in (TransactionStatus.IDLE, TransactionStatus.INTRANS)

    @property
    def is_last_to_blame(self) -> bool:
        """Whether of all that failed it was the last statement itself, and none before it."""
        return [result.status for result in self._found] == [ExecStatus.FATAL_ERROR]

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Session:
        """Run one statement.

        Raises:
            psycopg.Error: the connection is lost.
            Unavailable: the time is over.
        """
        return self.executemany(sql, (values,))

    def executemany(self, sql: str, values: Iterable[Sequence[Any]], /) -> Session:
        """Run one statement with each of ``values``, all of them under way together; see ``execute``."""
        if monotonic() > self._until:
            raise Unavailable("This takes too long now.")
        self._found = []
        changes = not sql.lstrip().startswith(("SELECT", "WITH"))
        for one in values:
            self._pipeline.send(sql, one, self._found)
            self.writes += changes
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())

    def fetchall(self) -> list[Any]:
        """The rows that the last statement found; raises what ``settle`` raises."""
        self.settle()
        found: list[Any] = []
        for result in self._found:
            if result.ntuples:
                self._types.set_pgresult(result)
                found += self._types.load_rows(0, result.ntuples, tuple)
        return found

    def changes(self) -> int:
        """How many rows the last statement changed; raises what ``settle`` raises."""
        self.settle()
        return sum([result.command_tuples or 0 for result in self._found])

    def settle(self) -> None:
        """Wait for all that was executed.

        Raises:
            psycopg.Error: one of the statements failed.
        """
        self._pipeline.settle()

    def commit(self) -> None:
        """Commit what was begun by hand, along with all that nobody has asked for the result of.

        Raises:
            psycopg.Error: as ``settle``; ``is_last_to_blame`` says whether it was the COMMIT itself.
        """
        self.execute("COMMIT").settle()
        if self._found[0].command_status != b"COMMIT":
            raise psycopg.InternalError("the server has rolled back what it was to commit")

    @contextmanager
    def limited(self, within_s: float) -> Iterator[None]:
        """Let no statement begin that is later than this. One that has begun is the server's to end."""
        self._until = monotonic() + within_s
        try:
            yield
        finally:
            self._until = inf

    def script(self, statements: str) -> str | None:
        """Run statements without values in one round trip; returns the one value of the last, if it has one."""
        self._pipeline.leave()
        result = self._pipeline.check(self._server.exec_(statements.encode()))
        found = result.get_value(0, 0) if result.ntuples else None
        return None if found is None else found.decode()

    def roll_back(self) -> None:
        """Undo the transaction, if there is one and still a server to undo it."""
        with suppress(psycopg.Error):  # it is undone, whatever it came to
            self.settle()
        if self._server.transaction_status != TransactionStatus.IDLE and not self.is_lost:
            self.script("ROLLBACK")

    def close(self) -> None:
        self._connection.close()
