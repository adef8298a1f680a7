"""Who is in a room, kept in memory under the room's roster version.

A message to a thousand people reads one number from the database, not a thousand rows. The version is read in
the same transaction as everything else and changes with every change of the roster or of ``is_frozen``, so an
entry is right whenever its version is, whichever process made the change. A version is drawn, not counted:
what a transaction has left here that was undone is then nobody's.
"""

from __future__ import annotations

import secrets
from threading import Lock

from gateway.records import Roster
from gateway.store.connection import Cursor, row, rows

# Participants, not rooms: they are what takes memory, some 100 bytes each.
BOUND = 500_000


def new_version() -> int:
    """A version that no roster has had."""
    return secrets.randbits(62)


class Rosters:
    """A bounded cache, shared by threads; what was loaded longest ago goes first.

    Args:
        bound: how many participants to remember, a room itself counted as one.
    """

    def __init__(self, *, bound: int = BOUND) -> None:
        self._bound = bound
        self._kept: dict[str, tuple[int, Roster]] = {}
        self._participants = 0
        self._lock = Lock()

    def get(self, db: Cursor, room_id: str, version: int) -> Roster:
        """The roster of a room that exists and has this version in the transaction of ``db``."""
        kept = self._kept.get(room_id)
        if kept is not None and kept[0] == version:
            return kept[1]
        ((tenant_id, is_frozen),) = rows(
            db, "SELECT tenant_id, is_frozen FROM rooms WHERE id = ?", (room_id,)
        )
        found = rows(db, "SELECT user_id FROM participants WHERE room_id = ? ORDER BY position", (room_id,))
        user_ids = tuple([user_id for (user_id,) in found])
        roster = Roster(tenant_id, room_id, user_ids, frozenset(user_ids), bool(is_frozen))
        with self._lock:
            if room_id in self._kept:
                self._drop(room_id)
            self._kept[room_id] = (version, roster)
            self._participants += len(user_ids) + 1
            while self._participants > self._bound and len(self._kept) > 1:
                self._drop(next(iter(self._kept)))
        return roster

    def _drop(self, room_id: str) -> None:
        _, roster = self._kept.pop(room_id)
        self._participants -= len(roster.user_ids) + 1


def find(db: Cursor, rosters: Rosters, tenant_id: str, room_id: str) -> Roster | None:
    """The roster of a room of this tenant."""
    found = row(db, "SELECT roster_version FROM rooms WHERE id = ? AND tenant_id = ?", (room_id, tenant_id))
    return None if found is None else rosters.get(db, room_id, found[0])


def contacts(db: Cursor, tenant_id: str, user_id: str, max_room: int) -> frozenset[str]:
    """Everyone who shares a room of at most ``max_room`` participants with this user, and himself."""
    # CROSS JOIN keeps SQLite to this order, which begins with the few rooms of one user.
    found = rows(
        db,
        """
        SELECT DISTINCT other.user_id
        FROM participants AS own
        CROSS JOIN rooms
        CROSS JOIN participants AS other
        WHERE own.tenant_id = ? AND own.user_id = ? AND rooms.id = own.room_id
            AND rooms.participant_count <= ? AND other.room_id = rooms.id
        """,
        (tenant_id, user_id, max_room),
    )
    return frozenset([other for (other,) in found]) | {user_id}
