"""A writer on PostgreSQL: one connection and one thread, in which groups of jobs are run and committed.

Jobs are written as if they ran alone, and several nodes write to one database. So a group begins by taking a
lock for each tenant that it concerns, in one order everywhere; they end with the transaction. For each tenant
everything is serial then, across nodes, and what is numbered in a transaction becomes visible in order. Each
statement sees what was committed before it (READ COMMITTED), and so all that the lock's last holder did.

When the connection is lost, nothing was acknowledged: the group runs again on a new one. Only when it was lost
during COMMIT is it unknown what became of the group; the transaction's own number, asked for with the locks, finds
it out from the server. Where even that fails, writers are told ``Unavailable``, and may ask again under their
``clientMessageId`` or idempotency key.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, Literal

import msgspec
import psycopg
from psycopg import errors

from gateway.errors import GatewayError
from gateway.store.courier import Courier
from gateway.store.groups import GroupWriter, Write
from gateway.store.ports import Replayed
from gateway.store.postgresql.session import FAULTS, Session, connect

# Most writes of a group: they hold their tenants' locks together, for some half a millisecond each.
GROUP: Final = 64
# How often a group is begun before its writers are turned away, when its connection is lost or others collide.
ATTEMPTS: Final = 3
# How long the server is asked for what became of a COMMIT; a restart takes about a second.
RESOLVE_S: Final = 3.0
RESOLVE_PAUSE_S: Final = 0.05

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

    def _run(self, group: Sequence[Write]) -> _Ended:
        attempt = 0
        while True:
            attempt += 1
            if self._session is None:
                try:
                    self._session = connect(self._url)
                except psycopg.Error as error:
                    return _Ended(error, "server")
            session = self._session
            try:
                return self._attempt(session, group)
            except Exception as error:
                again = session.is_lost or isinstance(error, COLLISIONS)
                # Whatever state it is in, with the transaction in it.
                self._drop_session()
                if not again or attempt == ATTEMPTS:
                    return _Ended(error)

    def _attempt(self, session: Session, group: Sequence[Write]) -> _Ended:
        """Run the jobs once; what it raises is no job's fault, and nothing was committed."""
        transaction = self._take_locks(session, group)
        changed_before = session.changed
        for number, write in enumerate(group, 1):
            changed = session.changed
            write.error = None
            try:
                write.result = write.job(session)
            except Exception as error:
                refused = isinstance(error, (GatewayError, Replayed)) and session.changed == changed
                if not refused or session.is_spoilt:
                    if session.is_lost or isinstance(error, COLLISIONS):
                        raise
                    session.roll_back()
                    return _Ended(error, "job", ran=number)
                write.error = error
        if session.changed == changed_before:
            session.roll_back()
            return _Ended()
        began = time.perf_counter()
        try:
            session.script("COMMIT")
        except psycopg.Error as error:
            if not session.is_lost:
                raise
            match self._what_became_of(transaction):
                case "aborted":
                    raise
                case "committed":
                    pass
                case _:
                    return _Ended(error)
        return _Ended(seconds=time.perf_counter() - began)

    def _take_locks(self, session: Session, group: Sequence[Write]) -> str:
        """Begin, and return the transaction's number, all in one round trip."""
        keys = sorted({lock_of(write.tenant_id) for write in group if write.tenant_id is not None})
        locks = "".join([f"SELECT pg_advisory_xact_lock({key}); " for key in keys])
        return str(session.script(f"BEGIN; {locks}SELECT pg_current_xact_id()::text"))

    def _what_became_of(self, transaction: str) -> str | None:
        """``committed``, ``aborted``, or None if the server does not say in time."""
        until = time.monotonic() + RESOLVE_S
        while True:
            self._drop_session()
            try:
                self._session = connect(self._url)
                said = self._session.script(f"SELECT pg_xact_status('{transaction}')")
            except psycopg.Error:
                # Whatever it was, the group must not run again while it may have been committed.
                said = None
            if said in ("committed", "aborted"):
                return str(said)
            if time.monotonic() > until:
                return None
            time.sleep(RESOLVE_PAUSE_S)

    def _drop_session(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def lock_of(tenant_id: str) -> int:
    """The number of the tenant's lock, the same on every node."""
    return int.from_bytes(blake2b(tenant_id.encode(), digest_size=8, person=b"tenant").digest(), signed=True)
