"""Joining and leaving a room."""

from __future__ import annotations

from gateway.errors import Conflict, Forbidden, InvalidRequest, NotFound, no_such_room
from gateway.records import Membership, Role, RoomDetail
from gateway.store import log, memberships, rooms, sockets, users
from gateway.store.connection import Cursor, row
from gateway.store.direct import is_direct
from gateway.store.ports import NewParticipant, RosterChange
from gateway.store.rosters import Rosters, new_version


def add(
    db: Cursor,
    rosters: Rosters,
    tenant_id: str,
    room_id: str,
    person: NewParticipant,
    *,
    actor_id: str | None,
    by_server: bool = False,
    max_participants: int,
    now: int,
) -> RosterChange:
    """See ``Store.add_participant``."""
    rooms.require_operator(db, tenant_id, room_id, None if by_server else actor_id)
    viewer_id = None if by_server else actor_id
    if _role(db, room_id, person.id) is not None:
        return RosterChange(_seen(db, tenant_id, room_id, viewer_id))
    found = row(
        db,
        """
        SELECT name, custom_type, external_id, participant_count, next_position, seq
        FROM rooms WHERE id = ?
        """,
        (room_id,),
    )
    assert found is not None  # required above
    name, custom_type, external_id, participants, position, seq = found
    if viewer_id is not None and is_direct(
        name=name, custom_type=custom_type, external_id=external_id, participants=participants
    ):
        raise Forbidden("Nobody can be added to a direct conversation.", code="direct_room")
    if participants >= max_participants:
        raise InvalidRequest(f"A room takes at most {max_participants} participants.")
    users.ensure(db, tenant_id, [person], now)
    # History is there to be read, but it is not news to who joins: all of it counts as read.
    former = row(
        db,
        "DELETE FROM former_participants WHERE room_id = ? AND user_id = ? RETURNING cleared_seq",
        (room_id, person.id),
    )
    db.execute(
        """
        INSERT INTO participants
            (room_id, user_id, tenant_id, role, position, joined_at, read_seq, delivered_seq, cleared_seq,
             from_number)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (
            room_id,
            person.id,
            tenant_id,
            person.role or ("MEMBER" if participants else "OPERATOR"),
            position,
            now,
            seq,
            seq,
            former[0] if former else 0,
            log.head(db, tenant_id),
        ),
    )
    roster_version = new_version()
    db.execute(
        """
        UPDATE rooms SET participant_count = participant_count + 1, next_position = next_position + 1,
            roster_version = ?
        WHERE id = ?
        """,
        (roster_version, room_id),
    )
    membership = Membership("joined", actor_id or person.id, person.id)
    told = rosters.get(db, room_id, roster_version).user_ids
    changed = memberships.announce(db, tenant_id, room_id, membership, told, now)
    message = memberships.tell(db, tenant_id, room_id, membership, told, now)
    return RosterChange(_seen(db, tenant_id, room_id, viewer_id), membership, (changed, message))


def remove(
    db: Cursor,
    rosters: Rosters,
    tenant_id: str,
    room_id: str,
    user_id: str,
    *,
    actor_id: str | None,
    by_server: bool,
    now: int,
) -> RosterChange:
    """See ``Store.remove_participant``."""
    viewer_id = None if by_server else actor_id
    if viewer_id != user_id:
        rooms.require_operator(db, tenant_id, room_id, viewer_id)
    found = row(
        db,
        """
        SELECT roster_version, role, cleared_seq, from_number
        FROM rooms JOIN participants ON room_id = rooms.id AND user_id = ?
        WHERE rooms.id = ? AND rooms.tenant_id = ?
        """,
        (user_id, room_id, tenant_id),
    )
    if found is None:
        if viewer_id == user_id:
            raise no_such_room()
        return RosterChange(_seen(db, tenant_id, room_id, viewer_id))
    roster_version, role, cleared_seq, from_number = found
    told = rosters.get(db, room_id, roster_version).user_ids
    db.execute("DELETE FROM participants WHERE room_id = ? AND user_id = ?", (room_id, user_id))
    db.execute(
        "INSERT INTO former_participants (room_id, user_id, cleared_seq, left_at) VALUES (?, ?, ?, ?)",
        (room_id, user_id, cleared_seq, now),
    )
    db.execute(
        "UPDATE rooms SET participant_count = participant_count - 1, roster_version = ? WHERE id = ?",
        (staying_version := new_version(), room_id),
    )
    if role == "OPERATOR":
        _keep_an_operator(db, room_id)
    left = actor_id in (None, user_id)
    membership = Membership("left" if left else "removed", actor_id or user_id, user_id)
    changed = memberships.announce(db, tenant_id, room_id, membership, told, now)
    log.end_stay(db, tenant_id, room_id, user_id, from_number=from_number, to_number=changed.number)
    sockets.lose_room(db, tenant_id, user_id, room_id)
    staying = rosters.get(db, room_id, staying_version).user_ids
    message = memberships.tell(db, tenant_id, room_id, membership, staying, now)
    # Who leaves still gets the room to see, as nobody in particular.
    viewer_id = None if left else viewer_id
    return RosterChange(_seen(db, tenant_id, room_id, viewer_id), membership, (changed, message))


def change_role(
    db: Cursor, tenant_id: str, room_id: str, user_id: str, role: Role, *, actor_id: str | None
) -> RoomDetail:
    """See ``Store.change_role``."""
    rooms.require_operator(db, tenant_id, room_id, actor_id)
    before = _role(db, room_id, user_id)
    if before is None:
        raise NotFound("There is no such participant in this room.")
    if before == "OPERATOR" and role != "OPERATOR" and not _has_operator(db, room_id, but=user_id):
        raise Conflict("A room needs an operator.", code="last_operator")
    db.execute("UPDATE participants SET role = ? WHERE room_id = ? AND user_id = ?", (role, room_id, user_id))
    return _seen(db, tenant_id, room_id, actor_id)


def _keep_an_operator(db: Cursor, room_id: str) -> None:
    """Promote the longest-standing member of a room that has lost its last operator."""
    db.execute(
        """
        UPDATE participants SET role = 'OPERATOR'
        WHERE room_id = ?
            AND position = (SELECT min(position) FROM participants WHERE room_id = ?)
            AND NOT EXISTS (SELECT 1 FROM participants WHERE room_id = ? AND role = 'OPERATOR')
        """,
        (room_id, room_id, room_id),
    )


def _has_operator(db: Cursor, room_id: str, *, but: str) -> bool:
    found = row(
        db,
        "SELECT 1 FROM participants WHERE room_id = ? AND role = 'OPERATOR' AND user_id <> ? LIMIT 1",
        (room_id, but),
    )
    return found is not None


def _role(db: Cursor, room_id: str, user_id: str) -> str | None:
    found = row(db, "SELECT role FROM participants WHERE room_id = ? AND user_id = ?", (room_id, user_id))
    return None if found is None else str(found[0])


def _seen(db: Cursor, tenant_id: str, room_id: str, viewer_id: str | None) -> RoomDetail:
    room = rooms.find(db, tenant_id, room_id, viewer_id)
    assert room is not None  # every caller has looked
    return room
