"""Changing calls: a step is decided and written in one transaction, with all that it tells and leaves behind."""

from __future__ import annotations

from gateway.errors import GatewayError
from gateway.records import LogEvent
from gateway.store import log, messages
from gateway.store.call_rows import IN_CALL, LIVE, SELECT, fetch
from gateway.store.connection import Cursor, row, rows
from gateway.store.ports import MessageDraft
from gateway.store.rosters import Rosters
from signaling import call_log, errors
from signaling.call import Call
from signaling.errors import CallError
from signaling.events import Notice
from signaling.ports import Change, Changed, Room, Step


def change(
    db: Cursor, rosters: Rosters, tenant_id: str, room_id: str, call_id: str | None, step: Step, now: int
) -> Changed:
    """See ``CallStore.change_call``.

    Raises:
        GatewayError: for the ``CallError`` that is its cause: the room is not there, or the step refused.
    """
    try:
        call, room = look(db, rosters, tenant_id, room_id, call_id)
        decided = step(call, room)
    except CallError as error:
        # Of our own tree, so that the writer passes it as what it is.
        raise GatewayError(error.message) from error
    if decided.before is decided.call:
        return Changed(decided)
    _write(db, decided)
    told: list[LogEvent | Notice] = [
        _logged(db, tenant_id, notice, decided.room, room_id, now) for notice in decided.notices
    ]
    if decided.log is not None:
        told.append(_log_call(db, tenant_id, room_id, decided, now))
    return Changed(decided, tuple(told))


def look(
    db: Cursor, rosters: Rosters, tenant_id: str, room_id: str, call_id: str | None
) -> tuple[Call | None, Room]:
    """See ``CallStore.room_and_call``."""
    found = row(db, "SELECT roster_version FROM rooms WHERE id = ? AND tenant_id = ?", (room_id, tenant_id))
    if found is None:
        raise errors.no_such_room()
    roster = rosters.get(db, room_id, found[0])
    if call_id is None:
        calls = fetch(db, f"{SELECT} WHERE room_id = ? AND {LIVE}", (room_id,))
    else:
        calls = fetch(db, f"{SELECT} WHERE room_id = ? AND id = ?", (room_id, call_id))
    call = calls[0] if calls else None
    engaged = _engaged(db, call) if call is not None and call.status.live else {}
    return call, Room(roster.user_ids, roster.members, roster.is_frozen, engaged)


def _engaged(db: Cursor, call: Call) -> dict[str, str | None]:
    """Who of the room talks in another call, and on which device."""
    found = rows(
        db,
        f"""
        SELECT participants.user_id, other.device FROM participants CROSS JOIN call_parties AS other
        WHERE participants.room_id = ? AND other.tenant_id = participants.tenant_id
            AND other.user_id = participants.user_id AND other.{IN_CALL} AND other.standing = 'joined'
            AND other.call_id <> ?
        """,
        (call.room_id, call.id),
    )
    return dict(found)


def _write(db: Cursor, decided: Change) -> None:
    before, call = decided.before, decided.call
    if before is None:
        db.execute(
            """
            INSERT INTO calls
                (id, tenant_id, room_id, type, status, created_by, is_group, media_room, max_participants,
                 ring_s, created_at, ring_until)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            (
                call.id,
                call.tenant_id,
                call.room_id,
                call.type,
                call.status.value,
                call.created_by,
                call.is_group,
                call.media_room,
                call.max_participants,
                call.ring_s,
                call.created_at,
                call.ring_until,
            ),
        )
        changed = list(enumerate(call.parties))
    else:
        db.execute(
            """
            UPDATE calls SET status = ?, ring_until = ?, started_at = ?, ended_at = ?, end_reason = ?
            WHERE id = ?
            """,
            (call.status.value, call.ring_until, call.started_at, call.ended_at, call.end_reason, call.id),
        )
        known = {party.user_id: party for party in before.parties}
        changed = [
            (place, party)
            for place, party in enumerate(call.parties)
            if known.get(party.user_id) is not party
        ]
    db.executemany(
        """
        INSERT INTO call_parties
            (call_id, user_id, tenant_id, place, standing, device, joined_at, left_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (call_id, user_id) DO UPDATE SET standing = excluded.standing, device = excluded.device,
            joined_at = excluded.joined_at, left_at = excluded.left_at
        """,
        [
            (
                call.id,
                party.user_id,
                call.tenant_id,
                place,
                party.standing.value,
                party.device,
                party.joined_at,
                party.left_at,
            )
            for place, party in changed
        ],
    )


def _logged(
    db: Cursor, tenant_id: str, notice: Notice, room: Room, room_id: str, now: int
) -> LogEvent | Notice:
    """The notice in the tenant's log; but one for some devices of a user is for those that are there now."""
    if notice.but_device is not None:
        return notice
    whole = len(notice.user_ids) == len(room.user_ids) and room.members.issuperset(notice.user_ids)
    return log.append(
        db,
        tenant_id,
        notice.event,
        notice.payload,
        notice.user_ids,
        room_id=room_id if whole else None,
        now=now,
    )


def _log_call(db: Cursor, tenant_id: str, room_id: str, decided: Change, now: int) -> LogEvent:
    """Add the call log to the room. Its sender is who called (contract 10, row 18), in the room or not."""
    assert decided.log is not None
    draft = MessageDraft(
        tenant_id=tenant_id,
        room_id=room_id,
        sender_id=decided.call.created_by,
        parts=call_log.parts(decided.log),
        preview_text=call_log.preview(decided.log),
    )
    return messages.announce(db, draft, decided.room.user_ids, now)
