"""A page of what a user finds: rooms by their names, messages by what they say."""

from __future__ import annotations

from typing import Any, Final, Protocol

from gateway.errors import no_such_room
from gateway.records import Message, RoomSummary, SearchPage
from gateway.store import cursors, messages, rooms
from gateway.store.connection import Cursor, row, rows
from gateway.store.ports import SearchQuery
from gateway.store.words import has_all, words_of, words_wanted

# How many rooms are looked at for one page, some 20 ms; the cursor goes on behind them.
LOOKED_AT = 1_000
# Nobody looks for a crowd without a name by the names of who is in it.
NAMED_BY = 20

# Columns of messages.SELECT.
_ID, _AT = 0, 6
_END_OF_TIME: Final = (1 << 62, "")


class FullText(Protocol):
    """What each database does in its own way: an index of the words of messages."""

    def is_behind(self, db: Cursor) -> bool:
        """Whether there is anything for :meth:`index` to do."""
        ...

    def index(self, db: Cursor) -> bool:
        """See ``Store.index_messages``; a job for the writer, bounded."""
        ...

    def in_room(
        self,
        db: Cursor,
        room: int,
        room_id: str,
        cleared_seq: int,
        wanted: list[str],
        *,
        since: int,
        before: tuple[int, str],
        most: int,
    ) -> list[tuple[Any, ...]]:
        """The messages of a room that have all of these words, as they are now, newest first.

        Args:
            room: its number in ``search_rooms``.
            cleared_seq: only later messages.
            since: only messages of this moment or later.
            before: only messages with a smaller (created_at, id).
            most: how many are wanted; more do no harm.

        Returns rows of ``messages.SELECT``.
        """
        ...


def page(db: Cursor, full_text: FullText, query: SearchQuery) -> SearchPage:
    """See ``Store.search``."""
    if query.room_id is not None:
        _require_participant(db, query, query.room_id)
    wanted = words_wanted(query.text)
    found: list[RoomSummary] = []
    next_cursor = None
    if query.scope == "rooms" or (query.scope == "all" and query.cursor is None):
        found, next_cursor = _rooms(db, query, wanted)
    if query.scope == "rooms":
        return SearchPage(found, [], next_cursor)
    said, next_cursor = _messages(db, full_text, query, wanted)
    return SearchPage(found, said, next_cursor)


def _messages(
    db: Cursor, full_text: FullText, query: SearchQuery, wanted: list[str]
) -> tuple[list[Message], str | None]:
    """The messages the viewer can read that have all of these words, newest first, and the next cursor."""
    before = _END_OF_TIME if query.cursor is None else cursors.found_position(query.cursor)
    if not wanted:
        return [], None
    newest: list[tuple[Any, ...]] = []
    for room, room_id, cleared_seq, activity_at in _own_rooms(db, query):
        # Once the page is full, only what is newer than its last is read of the others.
        since = newest[-1][_AT] if len(newest) > query.limit else 0
        if activity_at < since:
            break
        newest += full_text.in_room(
            db, room, room_id, cleared_seq, wanted, since=since, before=before, most=query.limit + 1
        )
        newest.sort(key=lambda found: (found[_AT], found[_ID]), reverse=True)
        del newest[query.limit + 1 :]
    next_cursor = None
    if len(newest) > query.limit:
        newest.pop()
        next_cursor = cursors.before_found(newest[-1][_AT], newest[-1][_ID])
    return [messages.record(found) for found in newest], next_cursor


def _own_rooms(db: Cursor, query: SearchQuery) -> list[tuple[int, str, int, int]]:
    """The viewer's rooms, the one with the newest message first: number, id, cleared_seq, activity_at."""
    where = ""
    values = [query.tenant_id, query.viewer_id]
    if query.room_id is not None:
        where += " AND own.room_id = ?"
        values.append(query.room_id)
    if query.participant_id is not None:
        where += " AND EXISTS (SELECT 1 FROM participants WHERE room_id = own.room_id AND user_id = ?)"
        values.append(query.participant_id)
    return rows(
        db,
        f"""
        SELECT search_rooms.number, own.room_id, own.cleared_seq, rooms.activity_at
        FROM participants AS own
        CROSS JOIN rooms
        CROSS JOIN search_rooms
        WHERE own.tenant_id = ? AND own.user_id = ? AND rooms.id = own.room_id AND rooms.seq > own.cleared_seq
            AND search_rooms.room_id = own.room_id{where}
        ORDER BY rooms.activity_at DESC
        """,
        values,
    )


def _rooms(db: Cursor, query: SearchQuery, wanted: list[str]) -> tuple[list[RoomSummary], str | None]:
    found: list[RoomSummary] = []
    if not wanted or query.room_id is not None:
        return found, None
    looked_at, cursor = 0, query.cursor
    while looked_at < LOOKED_AT:
        page = rooms.page(
            db,
            query.tenant_id,
            viewer_id=query.viewer_id,
            participant_id=query.participant_id,
            external_id=None,
            custom_types=(),
            limit=100,
            cursor=cursor,
        )
        for room in page.rooms:
            if has_all(words_of(_called(db, query, room)), wanted):
                if len(found) == query.limit:
                    return found, _after(db, found[-1].id)
                found.append(room)
        looked_at, cursor = looked_at + len(page.rooms), page.next_cursor
        if cursor is None:
            break
    return found, cursor


def _called(db: Cursor, query: SearchQuery, room: RoomSummary) -> str:
    """What the viewer's list calls the room."""
    if room.name:
        return room.name
    names = rows(
        db,
        """
        SELECT username FROM participants
        JOIN users ON users.tenant_id = participants.tenant_id AND users.id = user_id
        WHERE room_id = ? AND user_id <> ? ORDER BY position LIMIT ?
        """,
        (room.id, query.viewer_id, NAMED_BY),
    )
    return "\n".join([name for (name,) in names])


def _after(db: Cursor, room_id: str) -> str:
    found = row(db, "SELECT activity_at FROM rooms WHERE id = ?", (room_id,))
    assert found is not None  # of the same snapshot
    return cursors.after_room(found[0], room_id)


def _require_participant(db: Cursor, query: SearchQuery, room_id: str) -> None:
    found = row(
        db,
        "SELECT 1 FROM participants WHERE room_id = ? AND user_id = ? AND tenant_id = ?",
        (room_id, query.viewer_id, query.tenant_id),
    )
    if found is None:
        raise no_such_room()
