"""Who is connected to this node: sessions by tenant and user, and by active room. All synchronous."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from gateway.delivery.native import Native
from gateway.delivery.outbox import Outbox
from gateway.delivery.session import Session

CROWD = 64
"""Outboxes from which on it is remembered whose they are. Looking a crowd up costs a fifth of a microsecond for each of it,
more than all else that is done for a delivery before the kernel has it."""

Users: TypeAlias = Mapping[str, tuple[Session, ...]]
"""User id to his sessions. A tuple, since nearly everybody has one, and a list of one takes twice as much."""


class Hub:
    """The sessions of this node, found by user (delivery) and by active room (room presence)."""

    def __init__(self, *, native: Native | None = None) -> None:
        self._outboxes_of = _outboxes_of if native is None else native.outboxes_of
        self._tenants: dict[str, dict[str, tuple[Session, ...]]] = {}
        self._rooms: dict[str, dict[str, tuple[Session, ...]]] = {}
        self._count = 0
        # Of whom outboxes_of was asked last, if they are a crowd, and its answer. Good until anybody comes or goes.
        self._crowd: tuple[str, tuple[str, ...], list[Outbox]] | None = None

    def add(self, session: Session) -> bool:
        """Register; True if it is the user's first session here."""
        users = self._tenants.setdefault(session.tenant_id, {})
        self._count += 1
        self._crowd = None
        return _join(users, session)

    def remove(self, session: Session) -> bool:
        """Forget; True if it was the user's last session here. The session must have left its room."""
        users = self._tenants[session.tenant_id]
        self._count -= 1
        self._crowd = None
        if not _part(users, session):
            return False
        if not users:
            del self._tenants[session.tenant_id]
        return True

    def enter(self, session: Session, room_id: str) -> bool:
        """Make a room the session's active one; True if the user was not in it with any session.

        The session must have no active room.
        """
        session.room_id = room_id
        users = self._rooms.setdefault(room_id, {})
        return _join(users, session)

    def leave(self, session: Session) -> bool:
        """Leave the active room; True if no session of the user is left in it."""
        room_id = session.room_id
        if room_id is None:
            return False
        session.room_id = None
        users = self._rooms[room_id]
        if not _part(users, session):
            return False
        if not users:
            del self._rooms[room_id]
        return True

    def users(self, tenant_id: str) -> Users:
        """The tenant's connected users and their sessions; for reading only."""
        return self._tenants.get(tenant_id, {})

    def present(self, room_id: str) -> Users:
        """The users who have this room open, with those sessions; for reading only."""
        return self._rooms.get(room_id, {})

    def sessions(self) -> list[Session]:
        """Every session, as it is now."""
        return [s for users in self._tenants.values() for mine in users.values() for s in mine]

    def sessions_of(
        self, tenant_id: str, user_ids: Iterable[str], *, but: str | None = None
    ) -> list[Session]:
        """The sessions of the given users, except ``but``, in one flat list."""
        users = self._tenants.get(tenant_id)
        if users is None:
            return []
        found: list[Session] = []
        for user_id in user_ids:
            mine = users.get(user_id)
            if mine is not None and user_id != but:
                found += mine
        return found

    @property
    def count(self) -> int:
        """Sessions now."""
        return self._count

    def outboxes_of(
        self, tenant_id: str, user_ids: tuple[str, ...], *, but: str | None = None
    ) -> list[Outbox]:
        """The outboxes of ``sessions_of``; for reading only."""
        if but is None and self._crowd is not None:
            crowd_tenant_id, crowd_ids, outboxes = self._crowd
            # The very same tuple, as that of a room is while its participants are the same.
            if crowd_ids is user_ids and crowd_tenant_id == tenant_id:
                return outboxes
        users = self._tenants.get(tenant_id)
        if users is None:
            return []
        outboxes = self._outboxes_of(users, user_ids, but)
        if but is None and len(outboxes) >= CROWD:
            self._crowd = tenant_id, user_ids, outboxes
        return outboxes

    def statistics(self) -> dict[str, int]:
        return {
            "sessions": self._count,
            "users": sum(len(users) for users in self._tenants.values()),
            "rooms_open": len(self._rooms),
        }


def _outboxes_of(users: Users, user_ids: tuple[str, ...], but: str | None) -> list[Outbox]:
    return [session.outbox for user_id in user_ids if user_id != but for session in users.get(user_id, ())]


def _join(users: dict[str, tuple[Session, ...]], session: Session) -> bool:
    """True if it is the user's first."""
    mine = users.get(session.user_id)
    users[session.user_id] = (session,) if mine is None else (*mine, session)
    return mine is None


def _part(users: dict[str, tuple[Session, ...]], session: Session) -> bool:
    """True if it was the user's last."""
    left = tuple([other for other in users[session.user_id] if other is not session])
    if left:
        users[session.user_id] = left
        return False
    del users[session.user_id]
    return True
