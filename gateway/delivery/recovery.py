"""Clients that come back (contract D12): the same socket again, and exactly what it has missed.

A CONNECT answer carries a ``pid``; a client whose connection was lost shows it, and the offset of the last event
it got, when it connects again. Then it is told everything that was for it after that offset, in order, and goes
on with what happens now, with nothing lost or doubled between the two::

    offset ─────────── from the log ───────────▶ position ── tapped meanwhile ──▶ welcome ── live ──▶

A node delivers a tenant's events strictly in the order of the log (``delivery/order``), so what its sessions have
been told is one number, its position. The log is read up to that; what is delivered here while the read waits is
tapped; and when the read returns the session is put in the hub before anything else runs.

Nothing is kept for a socket that has no room open. A ``pid`` says itself which socket it is of and where in the
log that one began, and is signed for one user: it can be neither guessed nor used by another, any node can read
it, and it outlives every process. The newcomer with a ``pid`` is the client; a connection that still seems to
have it is one the network has forgotten to end.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from hmac import compare_digest
from typing import Any, Protocol

import msgspec
import trio

from gateway.delivery.fanout import Fanout
from gateway.delivery.session import Session
from gateway.errors import NotFound
from gateway.records import LogEvent, Return, Tenant, now_ms
from gateway.wire.prepared import Prepared

PID_CHARACTERS = 200
"""More than any of ours has."""

RENEW_MS = 43_200_000
"""How old the word of a room that is open may be: half of the time that it is kept beyond the events
(``sweeping.SOCKET_MS``)."""

REACH_S = 5.0
"""How long a client that has seen more than this node may wait for the node to come so far: more than it takes to see by
itself that the bus has lost something (``following.CHECK_S``)."""

REACH_CHECK_S = 0.01


class Log(Protocol):
    """What is kept of durable events, and of sockets (the store)."""

    async def returning(self, tenant_id: str, socket_id: str) -> Return: ...

    async def open_room(
        self,
        tenant_id: str,
        user_id: str,
        socket_id: str,
        room_id: str | None,
        *,
        then: Callable[[None], None] | None = None,
    ) -> None: ...

    async def missed_events(
        self, tenant_id: str, user_id: str, *, after: int, until: int, limit: int
    ) -> list[LogEvent] | None: ...


class Returned(msgspec.Struct, frozen=True):
    """A client that is taken for the one it was.

    Attributes:
        room_id: the room it has open.
        missed: its events, in order.
    """

    sid: str
    pid: str
    room_id: str | None
    missed: list[Prepared]


class Recovery:
    """Gives out pids and takes them back.

    Args:
        most_events: who has missed more begins anew.
    """

    def __init__(self, *, log: Log, fanout: Fanout, most_events: int) -> None:
        self._log = log
        self._fanout = fanout
        self._most_events = most_events
        self._counts: Counter[str] = Counter(
            returned=0, replayed=0, unknown=0, behind=0, roomless=0, too_much=0
        )

    async def open_room(self, session: Session, room_id: str | None, *, then: Callable[[None], None]) -> None:
        """Keep which room the session has open, or that it has none, for its client to come back to.

        Args:
            then: called when it is kept, in the order of everything else that happens to the room.

        Raises:
            NotFound: the user is not in such a room.
            Unavailable: the store is away.
        """
        await self._log.open_room(session.tenant_id, session.user_id, session.sid, room_id, then=then)

    def pid(self, tenant: Tenant, user_id: str, sid: str) -> str:
        """For a socket that begins now. The tenant must be attended (``Following.attend``)."""
        start = f"{sid}.{tenant.log_epoch}-{self._fanout.position(tenant.id) or 0}"
        return f"{start}.{_signature(tenant, user_id, start)}"

    async def recover(
        self, tenant: Tenant, user_id: str, *, pid: Any, offset: Any, limit_bytes: int
    ) -> Returned | None:
        """What the client that shows this ``pid`` goes on with; None when it cannot be had in full, or never was.

        Two queries. It holds for as long as nothing else runs: the session must be put in the hub right away, without
        waiting for anything. The tenant must be attended.

        Args:
            pid, offset: as the client sent them, if it did.
            limit_bytes: most that may be sent at once.

        Raises:
            Unavailable: the store is away; the same pid is good later.
        """
        if pid is None:
            return None
        known = _read_pid(tenant, user_id, pid)
        if known is None or (since := _since(known, offset)) is None:
            return self._refuse("unknown")
        there = await self._log.returning(tenant.id, known.sid)
        if there.log.epoch != known.epoch or not there.log.floor <= since <= there.log.head:
            return self._refuse("behind")
        if there.has_lost_room or not await self._kept_open(tenant.id, user_id, known.sid, there):
            return self._refuse("roomless")
        if not await self._reached(tenant.id, since):
            return self._refuse("behind")
        with self._fanout.tap(tenant.id, user_id, limit=self._most_events) as live:
            position = self._fanout.position(tenant.id)
            assert position is not None  # it has been reached
            missed = await self._log.missed_events(
                tenant.id, user_id, after=since, until=position, limit=self._most_events
            )
        if missed is None or len(missed) + len(live) > self._most_events:
            return self._refuse("too_much")
        packets = [self._fanout.prepare(event) for event in missed]
        packets += [self._fanout.prepare(envelope) for envelope in live]
        if sum(len(packet.frame) for packet in packets) > limit_bytes:
            return self._refuse("too_much")
        self._counts["returned"] += 1
        self._counts["replayed"] += len(packets)
        return Returned(known.sid, pid, there.room_id, packets)

    def _refuse(self, reason: str) -> Returned | None:
        self._counts[reason] += 1
        return None

    async def _kept_open(self, tenant_id: str, user_id: str, sid: str, there: Return) -> bool:
        """Note anew that the socket has its room open, now and then, since that is kept for a time only. False when the
        user is not in it any more."""
        if there.room_id is None or now_ms() - there.opened_at < RENEW_MS:
            return True
        try:
            await self._log.open_room(tenant_id, user_id, sid, there.room_id)
        except NotFound:
            return False
        return True

    async def _reached(self, tenant_id: str, number: int) -> bool:
        """Wait until this node has delivered the event of this number, as the node that the client comes from had."""
        with trio.move_on_after(REACH_S):
            while (self._fanout.position(tenant_id) or 0) < number:
                self._fanout.order.suspect(tenant_id)
                await trio.sleep(REACH_CHECK_S)
            return True
        return False

    def statistics(self) -> dict[str, int]:
        """Clients that came back and the events they got; and those who began anew, by the reason."""
        return dict(self._counts)


class _Pid(msgspec.Struct, frozen=True):
    """Which socket, and the offset at which it began."""

    sid: str
    epoch: str
    number: int


def _read_pid(tenant: Tenant, user_id: str, pid: Any) -> _Pid | None:
    if not isinstance(pid, str) or len(pid) > PID_CHARACTERS or not pid.isascii():
        return None
    start, _, signature = pid.rpartition(".")
    if not compare_digest(_signature(tenant, user_id, start), signature):
        return None
    sid, _, offset = start.rpartition(".")
    epoch, _, number = offset.rpartition("-")
    return _Pid(sid, epoch, int(number))


def _signature(tenant: Tenant, user_id: str, start: str) -> str:
    # The user in the middle: neither the tenant's id nor ours can hold a line feed, so nothing can be moved across.
    text = f"{tenant.id}\n{user_id}\n{start}".encode()
    digest = blake2b(text, key=tenant.signing_secret[:64], digest_size=16, person=b"socket pid")
    return urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()


def _since(pid: _Pid, offset: Any) -> int | None:
    """After which number the client has missed everything; None if what it says makes no sense.

    A client that has got no event with an offset yet says none, or that of the socket it was before: it has what
    this one began with.
    """
    if offset is None:
        return pid.number
    if not isinstance(offset, str):
        return None
    epoch, _, number = offset.rpartition("-")
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        return None
    return max(int(number), pid.number) if epoch == pid.epoch else pid.number
