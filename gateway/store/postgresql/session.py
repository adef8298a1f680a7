"""Connections to PostgreSQL, seen as what the SQL files take.

A session belongs to one thread at a time. It commits by itself unless a transaction was begun by hand, so that
a single read costs one round trip.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from time import monotonic
from typing import Any, Final

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult

from gateway.errors import InvalidRequest, Unavailable

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


def _numbered(sql: str) -> bytes:
    """``sql`` as the server reads it: ``$1`` for the first question mark, and so on. No text of ours has
    others.
    """
    numbers = iter(range(1, sql.count("?") + 1))
    return _PLACEHOLDER.sub(lambda _: f"${next(numbers)}", sql).encode()


def _storable(value: Any) -> Any:
    """Text without NUL, which PostgreSQL cannot hold and for which there is a character."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


# What a value is sent as: the server knows its type from where it stands. Only bytes go as they are.
_SENT: Final[Mapping[type, Callable[[Any], bytes | None]]] = {
    str: lambda value: _storable(value).encode(),
    int: lambda value: b"%d" % value,
    bool: lambda value: b"t" if value else b"f",
    bytes: bytes,
    type(None): lambda _: None,
}


class Session:
    """One connection; a ``gateway.store.connection.Cursor``.

    Statements are prepared when they are first run, and run by libpq itself: 36 us with 8 us of the processor, where
    psycopg's own cursor, which can be interrupted and adapts any type, takes 80 with 26. Here are a thread that may
    wait, and five types.

    Attributes:
        changed: how many rows were changed through it so far, in all.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._server = connection.pgconn
        self._types = Transformer(connection)
        self._prepared: dict[str, bytes] = {}
        self._result: PGresult | None = None
        self._changes = 0
        self._until = inf
        self._is_cut = False  # libpq has said so, and does not know it yet
        self.changed = 0

    @property
    def connection(self) -> Session:
        return self

    @property
    def is_lost(self) -> bool:
        """Whether nothing more can be done with it."""
        return self._is_cut or self._server.status == ConnStatus.BAD

    @property
    def is_spoilt(self) -> bool:
        """Whether its transaction takes nothing but a rollback."""
        return self._server.transaction_status not in (TransactionStatus.IDLE, TransactionStatus.INTRANS)

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Session:
        """Run one statement.

        Raises:
            psycopg.Error: it failed.
            InvalidRequest: a value that PostgreSQL cannot hold, as a number beyond 64 bits.
            Unavailable: the time is over.
        """
        if monotonic() > self._until:
            raise Unavailable("This takes too long now.")
        name = self._prepared.get(sql) or self._prepare(sql)
        kinds = [type(value) for value in values]
        sent: list[Any] = [_SENT[kind](value) for kind, value in zip(kinds, values, strict=True)]
        formats = [Format.BINARY if kind is bytes else Format.TEXT for kind in kinds]
        try:
            result = self._checked(self._server.exec_prepared(name, sent, formats, Format.BINARY))
        except psycopg.DataError as error:
            raise InvalidRequest("The request contains a value that cannot be stored.") from error
        self._result = result
        status = result.command_status
        if status is not None and not status.startswith(b"SELECT"):
            self._changes = result.command_tuples or 0
            self.changed += self._changes
        return self

    def executemany(self, sql: str, values: Iterable[Sequence[Any]], /) -> Session:
        """Run one statement with each of ``values``, all of them under way together."""
        with self._connection.cursor() as cursor:
            cursor.executemany(_numbered(sql), [[*map(_storable, one)] for one in values])
            self._changes = max(cursor.rowcount, 0)
        self._result = None
        self.changed += self._changes
        return self

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
        result = self._checked(self._server.exec_(statements.encode()))
        found = result.get_value(0, 0) if result.ntuples else None
        return None if found is None else found.decode()

    def fetchall(self) -> list[Any]:
        """The rows that the last statement found."""
        if self._result is None or not self._result.ntuples:
            return []
        self._types.set_pgresult(self._result)
        return self._types.load_rows(0, self._result.ntuples, tuple)

    def changes(self) -> int:
        return self._changes

    def roll_back(self) -> None:
        """Undo the transaction, if there is one and still a server to undo it."""
        if self._server.transaction_status != TransactionStatus.IDLE and not self.is_lost:
            self.script("ROLLBACK")

    def close(self) -> None:
        self._connection.close()

    def _prepare(self, sql: str) -> bytes:
        if len(self._prepared) >= PREPARED:
            self.script("DEALLOCATE ALL")
            self._prepared.clear()
        name = b"s%d" % len(self._prepared)
        self._checked(self._server.prepare(name, _numbered(sql)))
        self._prepared[sql] = name
        return name

    def _checked(self, result: PGresult) -> PGresult:
        if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
            if self.is_lost or result.error_field(DiagnosticField.SQLSTATE) is None:
                # What has no code is libpq's own word and not the server's. A statement that could not be sent it calls
                # failed on a good connection, as long as there was still something to read, as a server's last warning.
                self._is_cut = True
                raise psycopg.OperationalError(result.get_error_message())
            raise psycopg.errors.error_from_result(result)
        return result
