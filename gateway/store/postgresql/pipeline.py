"""Statements on their way to the server and results on their way back, in libpq's pipeline mode.

A statement whose result nobody looks at costs no waiting: it is sent along with what follows, and its result comes back
with theirs. What went wrong with it is told when somebody waits the next time, which spoils what comes after it in the same
transaction.

What is sent ends in a *sync* at the latest before libpq would send a part of it by itself. The server is idle then in its
own eyes, and its timeout for idle transactions runs: of a process that stands still it never waits for the rest.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from select import POLLIN, POLLOUT, poll
from typing import Any, Final

import psycopg
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, Format
from psycopg.pq.abc import PGconn, PGresult

# Statements kept prepared per connection; we have fewer.
PREPARED: Final = 512
# libpq sends what it has when it has 8 KiB.
UNSYNCED_BYTES: Final = 7 * 1024
# Of a statement beside its values, and of each value: more than either takes.
STATEMENT_BYTES, VALUE_BYTES = 64, 8

_PLACEHOLDER = re.compile(r"\?")
_FINE: Final = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.PIPELINE_SYNC)


def _numbered(sql: str) -> bytes:
    """``sql`` as the server reads it: ``$1`` for the first question mark, and so on. No text of ours has
    others.
    """
    numbers = count(1)
    return _PLACEHOLDER.sub(lambda _: f"${next(numbers)}", sql).encode()


def _text(value: str) -> bytes:
    """Without NUL, which PostgreSQL cannot hold and for which there is a character."""
    return value.replace("\0", "\ufffd").encode()


# What a value is sent as: the server knows its type from where it stands. Only bytes go as they are.
_SENT: Final[Mapping[type, Callable[[Any], bytes | None]]] = {
    str: _text,
    int: lambda value: b"%d" % value,
    bool: lambda value: b"t" if value else b"f",
    bytes: bytes,
    type(None): lambda _: None,
}
_FORMATS: Final[Mapping[type, Format]] = {
    kind: Format.BINARY if kind is bytes else Format.TEXT for kind in _SENT
}


class Pipeline:
    """Of one connection; for one thread at a time, which may wait."""

    def __init__(self, server: PGconn) -> None:
        self._server = server
        self._names = count()
        self._prepared: dict[str, bytes] = {}
        # Who takes the results that are still to come: of a statement its list, of a statement being prepared its text, of
        # a sync nobody. As long as what one group of jobs does.
        self._awaited: deque[list[PGresult] | str | None] = deque()
        self._unsynced = 0  # bytes
        self._poll = poll()
        self._poll.register(server.socket, POLLIN)
        self._is_open = False
        self._is_cut = False  # libpq has said so, and does not know it yet

    @property
    def is_lost(self) -> bool:
        """Whether nothing more can be sent through it."""
        return self._is_cut or self._server.status == ConnStatus.BAD

    def send(self, sql: str, values: Sequence[Any], found: list[PGresult]) -> None:
        """Have a statement run after all that were sent before; once settled, its result is in ``found``.

        Raises:
            psycopg.OperationalError: the connection is lost.
        """
        if not self._is_open:
            self._server.enter_pipeline_mode()
            self._is_open = True
        kinds = [type(value) for value in values]
        sent: list[Any] = [_SENT[kind](value) for kind, value in zip(kinds, values, strict=True)]
        size = sum(
            [len(value) for value in sent if value is not None], STATEMENT_BYTES + VALUE_BYTES * len(sent)
        )
        if sql not in self._prepared:
            self._prepare(sql)
        self._make_room(size)
        self._server.send_query_prepared(
            self._prepared[sql], sent, [_FORMATS[kind] for kind in kinds], Format.BINARY
        )
        self._awaited.append(found)

    def settle(self) -> None:
        """Wait for the results of all that was sent.

        Raises:
            psycopg.Error: a statement failed; the first that did.
        """
        if not self._awaited:
            return
        if self._unsynced:
            self._sync()
        failed: PGresult | None = None
        ended = False
        while self._awaited:
            if self._server.is_busy():
                self._wait()
                continue
            result = self._server.get_result()
            if result is None:
                if ended:  # twice in a row: there is nothing more
                    self._is_cut = True
                    raise psycopg.OperationalError("the connection is lost")
                ended = True
                continue
            ended = False
            taker = self._awaited.popleft()
            if isinstance(taker, list):
                taker.append(result)
            if result.status in _FINE:
                continue
            if isinstance(taker, str):
                self._prepared.pop(taker, None)
            if failed is None:
                failed = result
        if failed is not None:
            self.check(failed)

    def leave(self) -> None:
        """Settle, and let the connection be used without a pipeline until something is sent again."""
        self.settle()
        if self._is_open:
            self._server.exit_pipeline_mode()
            self._is_open = False

    def check(self, result: PGresult) -> PGresult:
        """Raise what ``settle`` raises if this is the result of something that failed."""
        if result.status in _FINE:
            return result
        if self.is_lost or result.error_field(DiagnosticField.SQLSTATE) is None:
            # What has no code is libpq's own word and not the server's. A statement that could not be sent it calls
            # failed on a good connection, as long as there was still something to read, as a server's last warning.
            self._is_cut = True
            raise psycopg.OperationalError(result.get_error_message())
        raise psycopg.errors.error_from_result(result)

    def _prepare(self, sql: str) -> None:
        if len(self._prepared) >= PREPARED:
            self._prepared.clear()
            self._make_room(STATEMENT_BYTES)
            self._server.send_query_params(b"DEALLOCATE ALL", None)
            self._awaited.append([])
        text = _numbered(sql)
        name = b"%b_%d" % (text.split(None, 1)[0], next(self._names))
        self._make_room(len(text) + STATEMENT_BYTES)
        self._server.send_prepare(name, text)
        self._prepared[sql] = name
        self._awaited.append(sql)

    def _make_room(self, size: int) -> None:
        if self._unsynced and self._unsynced + size > UNSYNCED_BYTES:
            self._sync()
        self._unsynced += size

    def _sync(self) -> None:
        self._server.pipeline_sync()
        self._awaited.append(None)
        self._unsynced = 0

    def _wait(self) -> None:
        """Until there is something to read, sending on meanwhile what was too much to be sent at once."""
        self._poll.modify(self._server.socket, POLLIN | POLLOUT if self._server.flush() else POLLIN)
        self._poll.poll()
        try:
            self._server.consume_input()
        except psycopg.OperationalError:
            self._is_cut = True
            raise
