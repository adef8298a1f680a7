"""Reading from PostgreSQL: each read in a thread, on one of a few connections that are kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, TypeVar

import psycopg
import trio

from gateway.errors import Unavailable
from gateway.store.connection import Cursor
from gateway.store.postgresql.session import FAULTS, STATEMENT_MS, Session, as_told, connect

T = TypeVar("T")

# For each connection; at a millisecond each, who comes after them would wait for long.
WAITING: Final = 500


class Readers:
    """A few connections, made when they are first needed.

    Attributes:
        waiting: reads that were asked for and have no answer yet.
    """

    def __init__(self, url: str, *, connections: int) -> None:
        self._url = url
        self._limiter = trio.CapacityLimiter(connections)
        self._most = WAITING * connections
        # What nobody reads through; at most one for each token of the limiter. The last to be used comes first.
        self._idle: deque[Session] = deque()
        self._closed = False
        self.waiting = 0

    async def read(self, query: Callable[[Cursor], T], *, together: bool, within_s: float) -> T:
        """Run ``query``, whose statements see one state if they are to be run ``together``.

        Raises:
            Unavailable: too many are waiting, the time is over, or the server cannot be read from.
        """
        if self.waiting >= self._most:
            raise Unavailable("Too many reads are waiting.")
        self.waiting += 1
        try:
            with trio.move_on_after(within_s):
                return await trio.to_thread.run_sync(
                    self._query, query, together, within_s, limiter=self._limiter, abandon_on_cancel=True
                )
        finally:
            self.waiting -= 1
        raise Unavailable("This takes too long now.")

    def close(self) -> None:
        """Close what nobody reads through; the others are closed when they have been read through."""
        self._closed = True
        self._forget_idle()

    # What follows runs in threads.

    def _query(self, query: Callable[[Cursor], T], together: bool, within_s: float) -> T:
        """Run ``query``; on a connection that went bad while it was idle, once more on a new one."""
        try:
            session, is_new = self._idle.pop(), False
        except IndexError:
            session, is_new = self._connect(), True
        try:
            try:
                return _run(session, query, together, within_s)
            except FAULTS:
                if is_new or not session.is_lost:
                    raise
            session.close()
            self._forget_idle()  # the others are no younger
            session = self._connect()
            return _run(session, query, together, within_s)
        except FAULTS as error:
            raise Unavailable("The store cannot read now.") from error
        except psycopg.DataError as error:
            raise as_told(error) from error
        finally:
            if session.is_lost or session.is_spoilt or self._closed:
                session.close()
            else:
                self._idle.append(session)

    def _connect(self) -> Session:
        try:
            return connect(self._url, read_only=True)
        except psycopg.Error as error:
            raise Unavailable("The store cannot be reached.") from error

    def _forget_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()


def _run(session: Session, query: Callable[[Cursor], T], together: bool, within_s: float) -> T:
    with session.limited(within_s):
        if not together:
            return query(session)
        session.script(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
            f"SET LOCAL statement_timeout = {min(int(within_s * 1_000), STATEMENT_MS)}"
        )
        try:
            return query(session)
        finally:
            session.roll_back()
