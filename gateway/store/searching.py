"""A page of what a user finds: rooms by their names, messages by what they say."""

from __future__ import annotations

from typing import Protocol

from gateway.errors import no_such_room
from gateway.records import Message, RoomSummary, SearchPage
from gateway.store import cursors, rooms
from gateway.store.connection import Cursor, row, rows
from gateway.store.ports import SearchQuery
from gateway.store.words import has_all, words_of, words_wanted

# How many rooms are looked at for one page, some 20 ms; the cursor goes on behind them.
LOOKED_AT = 1_000
# Nobody looks for a crowd without a name by the names of who is in it.
NAMED_BY = 20


class FullText(Protocol):
    """What each database does in its own way: an index of the words of messages."""

    def is_behind(self, db: Cursor) -> bool:
        """Whether there is anything for :meth:`index` to do."""
        ...

    def index(self, db: Cursor) -> bool:
        """See ``Store.index_messages``; a job for the writer, bounded."""
        ...

    def messages_page(
        self, db: Cursor, query: SearchQuery, wanted: list[str]
    ) -> tuple[list[Message], str | None]:
        """The messages the viewer can read that have all of these words, newest first, and the next cursor."""
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
    said, next_cursor = full_text.messages_page(db, query, wanted)
    return SearchPage(found, said, next_cursor)


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
