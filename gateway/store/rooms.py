"""Rooms: listing them, showing one, making and changing them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import uuid_utils

from gateway.errors import Conflict, Forbidden, InvalidRequest, no_such_room
from gateway.records import LastMessage, Participant, RoomDetail, RoomPage, RoomSummary, iso
from gateway.store import cursors, users
from gateway.store.connection import Cursor, row, rows
from gateway.store.ports import CreatedRoom, NewParticipant, RoomChange, RoomDraft
from gateway.store.rosters import new_version

_NULL = msgspec.Raw(b"null")

# What _summary takes, in its order. With a viewer the last message is the one he has not cleared away.
_ROOM = """
    rooms.id, rooms.name, rooms.avatar_url, rooms.external_id, rooms.custom_type, rooms.metadata,
    rooms.is_frozen, rooms.created_at, rooms.activity_at, rooms.last_preview
"""
_FOR_VIEWER = f"""
    {_ROOM}, CASE WHEN rooms.last_seq > own.cleared_seq THEN rooms.last_at END,
    rooms.seq - own.read_seq - own.skipped, own.last_read_message_id
"""
_FOR_NOBODY = f"{_ROOM}, rooms.last_at, 0, NULL"


def room_frozen() -> Forbidden:
    """The one answer to a user who writes where only the backend may (contract 10, row 15)."""
    return Forbidden("This room is frozen.", code="room_frozen")


def page(
    db: Cursor,
    tenant_id: str,
    *,
    viewer_id: str | None,
    participant_id: str | None,
    external_id: str | None,
    custom_types: Sequence[str],
    limit: int,
    cursor: str | None,
) -> RoomPage:
    """See ``Store.rooms_page``; one query."""
    subject = participant_id if viewer_id is None else viewer_id
    where = ["rooms.tenant_id = ?"]
    values: list[Any] = [tenant_id]
    if subject is None:
        source = f"SELECT {_FOR_NOBODY} FROM rooms"
    else:
        # CROSS JOIN keeps SQLite to this order: from a user's rooms, not through all of the tenant's.
        source = f"SELECT {_FOR_VIEWER} FROM participants AS own CROSS JOIN rooms"
        where.append("rooms.id = own.room_id AND own.tenant_id = ? AND own.user_id = ?")
        values += [tenant_id, subject]
    if viewer_id is not None:
        where.append("rooms.seq > own.hidden_seq")
        if participant_id not in (None, viewer_id):
            where.append("EXISTS (SELECT 1 FROM participants WHERE room_id = rooms.id AND user_id = ?)")
            values.append(participant_id)
    if external_id is not None:
        where.append("rooms.external_id = ?")
        values.append(external_id)
    if custom_types:
        where.append(f"rooms.custom_type IN ({','.join('?' * len(custom_types))})")
        values += custom_types
    if cursor is not None:
        where.append("(rooms.activity_at, rooms.id) < (?, ?)")
        values += cursors.room_position(cursor)
    found = rows(
        db,
        f"{source} WHERE {' AND '.join(where)} ORDER BY rooms.activity_at DESC, rooms.id DESC LIMIT ?",
        (*values, limit + 1),
    )
    next_cursor = None
    if len(found) > limit:
        found.pop()
        next_cursor = cursors.after_room(found[-1][8], found[-1][0])
    return RoomPage([RoomSummary(*_fields(room)) for room in found], next_cursor)


def find(db: Cursor, tenant_id: str, room_id: str, viewer_id: str | None) -> RoomDetail | None:
    """The room as the viewer sees it; None when he is not in it."""
    if viewer_id is None:
        room = row(
            db, f"SELECT {_FOR_NOBODY} FROM rooms WHERE id = ? AND tenant_id = ?", (room_id, tenant_id)
        )
    else:
        room = row(
            db,
            f"""
            SELECT {_FOR_VIEWER} FROM rooms
            JOIN participants AS own ON own.room_id = rooms.id AND own.user_id = ?
            WHERE rooms.id = ? AND rooms.tenant_id = ?
            """,
            (viewer_id, room_id, tenant_id),
        )
    if room is None:
        return None
    roster = rows(
        db,
        """
        SELECT user_id, role, username, avatar_url, joined_at
        FROM participants JOIN users ON users.tenant_id = participants.tenant_id AND users.id = user_id
        WHERE room_id = ? ORDER BY position
        """,
        (room_id,),
    )
    participants = [
        Participant(user_id, role, username, avatar_url, iso(joined_at))
        for user_id, role, username, avatar_url, joined_at in roster
    ]
    fields = (*_fields(room), participants)
    return RoomDetail(*fields)


def create(db: Cursor, draft: RoomDraft, now: int) -> CreatedRoom:
    """Make a room and the users in it that are missing, or return the one that has this ``external_id``.

    Raises:
        InvalidRequest: nobody in it, too many, or an unknown role.
        Conflict: the ``external_id`` is that of a room the creator is not in.
    """
    people = _people(draft)
    if draft.external_id is not None:
        found = row(
            db,
            "SELECT id FROM rooms WHERE tenant_id = ? AND external_id = ?",
            (draft.tenant_id, draft.external_id),
        )
        if found is not None:
            room = find(db, draft.tenant_id, found[0], draft.creator_id)
            if room is None:
                raise Conflict("This externalId is taken.", code="external_id_taken")
            return CreatedRoom(room, created=False)
    users.ensure(db, draft.tenant_id, people, now)
    room_id = str(uuid_utils.uuid7())
    db.execute(
        """
        INSERT INTO rooms
            (id, tenant_id, name, avatar_url, external_id, custom_type, metadata, is_frozen, created_at,
             activity_at, participant_count, next_position)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (
            room_id,
            draft.tenant_id,
            draft.name,
            draft.avatar_url,
            draft.external_id,
            draft.custom_type,
            _json(draft.metadata),
            draft.is_frozen,
            now,
            now,
            len(people),
            len(people),
        ),
    )
    db.executemany(
        """
        INSERT INTO participants (room_id, user_id, tenant_id, role, position, joined_at)
        VALUES (?, ?, ?, ?, ?, ?)
        """,
        [(room_id, one.id, draft.tenant_id, one.role, position, now) for position, one in enumerate(people)],
    )
    room = find(db, draft.tenant_id, room_id, draft.creator_id)
    assert room is not None  # made above, with the creator in it
    return CreatedRoom(room, created=True)


def change(db: Cursor, tenant_id: str, room_id: str, change: RoomChange, actor_id: str | None) -> RoomDetail:
    """See ``Store.change_room``."""
    require_operator(db, tenant_id, room_id, actor_id)
    columns = {
        name: value
        for name in ("name", "avatar_url", "custom_type", "metadata", "is_frozen")
        if (value := getattr(change, name)) is not msgspec.UNSET
    }
    if "metadata" in columns:
        columns["metadata"] = _json(columns["metadata"])
    if "is_frozen" in columns:
        columns["roster_version"] = new_version()  # it covers is_frozen, which rosters tell
    if columns:
        db.execute(
            f"UPDATE rooms SET {', '.join(f'{name} = ?' for name in columns)} WHERE id = ?",
            (*columns.values(), room_id),
        )
    room = find(db, tenant_id, room_id, actor_id)
    assert room is not None  # required above
    return room


def require_operator(db: Cursor, tenant_id: str, room_id: str, actor_id: str | None) -> None:
    """Return if the actor may change this room; None is the API key, which may.

    Raises:
        NotFound: no such room, or the actor is not in it.
        Forbidden: he is not an operator.
    """
    if actor_id is None:
        if row(db, "SELECT 1 FROM rooms WHERE id = ? AND tenant_id = ?", (room_id, tenant_id)) is None:
            raise no_such_room()
        return
    actor = row(
        db,
        "SELECT role FROM participants WHERE room_id = ? AND user_id = ? AND tenant_id = ?",
        (room_id, actor_id, tenant_id),
    )
    if actor is None:
        raise no_such_room()
    if actor[0] != "OPERATOR":
        raise Forbidden("Only an operator of the room may do this.", code="not_an_operator")


def _people(draft: RoomDraft) -> list[NewParticipant]:
    """Who will be in the room, each once and with a role, in the order of joining: the creator first.

    An explicit role stands. If it makes nobody operator, the creator is, or else the first (contract 10, row
    10), unless his own role is explicit.
    """
    merged: dict[str, NewParticipant] = {}
    if draft.creator_id is not None:
        merged[draft.creator_id] = NewParticipant(draft.creator_id)
    for one in draft.participants:
        before = merged.get(one.id, one)
        merged[one.id] = NewParticipant(
            one.id, before.username or one.username, before.app_code or one.app_code, before.role or one.role
        )
    people = list(merged.values())
    if not people:
        raise InvalidRequest("A room needs at least one participant.")
    if len(people) > draft.max_participants:
        raise InvalidRequest(f"A room takes at most {draft.max_participants} participants.")
    roles = {one.role for one in people}
    if not roles <= {"OPERATOR", "MEMBER", None}:
        raise InvalidRequest("A role is OPERATOR or MEMBER.")
    first = people[0].id if "OPERATOR" not in roles else None
    return [
        NewParticipant(
            one.id, one.username, one.app_code, one.role or ("OPERATOR" if one.id == first else "MEMBER")
        )
        for one in people
    ]


def _fields(room: tuple[Any, ...]) -> tuple[Any, ...]:
    """The fields of a RoomSummary from a row of ``_FOR_VIEWER`` or ``_FOR_NOBODY``."""
    (
        room_id,
        name,
        avatar_url,
        external_id,
        custom_type,
        metadata,
        is_frozen,
        created_at,
        _,
        preview,
        last_at,
        unread,
        last_read_message_id,
    ) = room
    return (
        room_id,
        name,
        avatar_url,
        external_id,
        custom_type,
        _NULL if metadata is None else msgspec.Raw(metadata),
        bool(is_frozen),
        None if last_at is None else LastMessage(preview, iso(last_at)),
        unread,
        last_read_message_id,
        iso(created_at),
    )


def _json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
