"""A writer on PostgreSQL: one connection and one thread, in which groups of jobs are run and committed.

Jobs are written as if they ran alone, and several nodes write to one database. So a group begins by taking a
lock for each tenant that it concerns, in one order everywhere; they end with the transaction. For each tenant
everything is serial then, across nodes, and what is numbered in a transaction becomes visible in order. Each
statement sees what was committed before it (READ COMMITTED), and so all that the lock's last holder did.

When the connection is lost, nothing was acknowledged: the group runs again on a new one. Only when it was lost
during COMMIT is it unknown what became of the group. So each leaves its number in the lane's row (``lanes``), in its own
transaction, and there it is or it is not; a lock of the lane's own, held by each of its transactions, says that the lost
one is over. (``pg_xact_status`` would cost nothing, and lie: a server that crashes forgets a transaction of which nothing
was written, and gives its number to another, which is then "committed".) Where the server cannot be asked, writers are told
``Unavailable``, and may ask again under their ``clientMessageId`` or idempotency key.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from itertools import islice
from typing import Any, Final, Literal

import msgspec
import psycopg
from psycopg import errors

from gateway.errors import GatewayError
from gateway.records import now_ms
from gateway.store.connection import row
from gateway.store.courier import Courier
from gateway.store.groups import GroupWriter, Write, do, kin_of
from gateway.store.ports import Replayed
from gateway.store.postgresql.session import FAULTS, Session, as_told, connect

# Most writes of a group: they hold their tenants' locks together, for some half a millisecond each.
GROUP: Final = 64
# How often a group is begun before its writers are turned away, when its connection is lost or others collide.
ATTEMPTS: Final = 3
# How long the server is asked for what became of a COMMIT; a restart takes about a second.
RESOLVE_S: Final = 3.0
RESOLVE_PAUSE_S: Final = 0.05
# The rows of lanes that are gone are kept for so long.
ROW_MS: Final = 7 * 24 * 60 * 60 * 1000

NOTE: Final = """
    INSERT INTO lanes (id, number, used_at) VALUES (?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET number = excluded.number, used_at = excluded.used_at
"""

# Nobody's fault, and over when the group runs again.
COLLISIONS: Final = (errors.DeadlockDetected, errors.SerializationFailure)


class _Ended(msgspec.Struct, frozen=True):
    """How a group ended.

    Attributes:
        error: what undid it; None when it is durable, or changed nothing.
        blame: whose error it was: the last job's that ran, nobody's in particular, or the server's, which
            cannot be reached.
        ran: how many of the jobs had their turn, when one of them is to blame.
        seconds: the share of the COMMIT; None when there was nothing to commit.
    """

    error: Exception | None = None
    blame: Literal["job", "nobody", "server"] = "nobody"
    ran: int = 0
    seconds: float | None = None


class Lane(GroupWriter):
    """Owns one connection, made when it is first needed, and the thread that uses it."""

    def __init__(self, url: str, *, waiting_limit: int) -> None:
        super().__init__(waiting_limit=waiting_limit, faults=FAULTS)
        self._url = url
        self._session: Session | None = None
        # Its row, and its lock among those of the tenants.
        self._id = secrets.randbits(62)
        self._number = 0  # of the last group that was to be committed
        self._courier = Courier("store writer")

    def _begin(self) -> None:
        group = self._group
        while self._waiting and len(group) < GROUP and not (group and self._waiting[0].alone):
            group.append(self._waiting.popleft())
            if group[0].alone:
                break
        self._courier.run(lambda: self._run(group), self._told)

    def _end(self) -> None:
        self._courier.close()
        self._drop_session()

    def _told(self, ended: _Ended) -> None:
        if ended.error is None and ended.seconds is None:
            self._deliver()
        elif ended.error is None:
            self._committed(ended.seconds or 0.0)
        elif ended.blame == "job":
            self._waiting.extendleft(reversed(self._group[ended.ran :]))
            del self._group[ended.ran :]
            self._undone(ended.error)
        elif ended.blame == "server":
            # Those behind would only wait as long for the same.
            self._turn_away(ended.error)
            return
        else:
            self._rollbacks += 1
            self._refuse(ended.error)
        self._go_on()

    # What follows runs in the thread, while the loop leaves the group alone.

    def _run(self, group: list[Write[Any]]) -> _Ended:
        attempt = 0
        while True:
            attempt += 1
            session = self._session
            if session is None:
                try:
                    session = self._connect()
                except psycopg.Error as error:
                    return _Ended(error, "server")
            try:
                return self._attempt(session, group)
            except Exception as error:
                again = session.is_lost or isinstance(error, COLLISIONS)
                # Whatever state it is in, with the transaction in it.
                self._drop_session()
                if not again or attempt == ATTEMPTS:
                    return _Ended(error)

    def _attempt(self, session: Session, group: list[Write[Any]]) -> _Ended:
        """Run the jobs once; what it raises is no job's fault, and nothing was committed."""
        self._take_locks(session, group)
        self._take_along(group)
        writes, ran = session.writes, 0
        while ran < len(group):
            kin = kin_of(islice(group, ran, None))
            ran += len(kin)
            try:
                _run_jobs(session, kin)
            except COLLISIONS:
                raise
            except Exception as error:
                if session.is_lost:
                    raise
                session.roll_back()
                return _Ended(as_told(error), "job", ran=ran)
        if session.writes == writes:
            session.roll_back()
            return _Ended()
        began = time.perf_counter()
        self._number += 1
        try:
            session.execute(NOTE, (self._id, self._number, now_ms()))
            session.commit()
        except FAULTS as error:
            if not session.is_lost:
                raise
            match self._is_committed():
                case False:
                    raise
                case None:
                    return _Ended(error)
        except Exception as error:
            if session.is_last_to_blame:
                raise
            session.roll_back()
            return _Ended(as_told(error), "job", ran=ran)
        return _Ended(seconds=time.perf_counter() - began)

    def _take_locks(self, session: Session, group: Sequence[Write[Any]]) -> None:
        """Begin, in one round trip."""
        tenants = {lock_of(write.tenant_id) for write in group if write.tenant_id is not None}
        locks = [f"SELECT pg_advisory_xact_lock({key})" for key in (self._id, *sorted(tenants))]
        session.script("; ".join(["BEGIN", *locks]))

    def _take_along(self, group: list[Write[Any]]) -> None:
        """Add what has come for the same tenants while others had their locks: the more there are, the more share a
        commit.
        """
        tenants = {write.tenant_id for write in group}
        while len(group) < GROUP and not group[0].alone:
            try:
                write = self._waiting.popleft()  # all at once, whatever the loop does to the others meanwhile
            except IndexError:
                return
            if write.alone or write.tenant_id not in tenants:
                self._waiting.appendleft(write)
                return
            group.append(write)

    def _is_committed(self) -> bool | None:
        """Whether the last group is, the connection having been lost; None if the server does not say in time."""
        until = time.monotonic() + RESOLVE_S
        while True:
            self._drop_session()
            # Whatever goes wrong, the group must not run again while it may have been committed.
            with suppress(psycopg.Error):
                session = self._connect()
                # The server may still be at it.
                session.script(f"BEGIN; SET LOCAL lock_timeout = {RESOLVE_S:.0f}000")
                session.script(f"SELECT pg_advisory_xact_lock({self._id})")
                found = row(session, "SELECT number FROM lanes WHERE id = ?", (self._id,))
                session.roll_back()
                return found == (self._number,)
            if time.monotonic() > until:
                return None
            time.sleep(RESOLVE_PAUSE_S)

    def _connect(self) -> Session:
        session = self._session = connect(self._url)
        session.execute("DELETE FROM lanes WHERE used_at < ?", (now_ms() - ROW_MS,))
        session.settle()
        return session

    def _drop_session(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def _run_jobs(session: Session, kin: list[Write[Any]]) -> None:
    """Raises what spoils the transaction: of these jobs, or of one before them."""
    writes = session.writes
    try:
        do(session, kin)
    except (GatewayError, Replayed) as error:
        if session.writes != writes or len(kin) > 1:
            raise
        kin[0].error = error


def lock_of(tenant_id: str) -> int:
    """The number of the tenant's lock, the same on every node."""
    return int.from_bytes(blake2b(tenant_id.encode(), digest_size=8, person=b"tenant").digest(), signed=True)
