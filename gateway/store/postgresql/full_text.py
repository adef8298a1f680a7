"""Which message has which words, in PostgreSQL: a ``tsvector`` for each message, in one GIN index.

A word is kept behind the number of its room, ``17:hello``, as in SQLite (``sqlite/full_text`` says why). The index
follows, and what it finds is only a suggestion, as there; but rows have no order here that could be followed, so triggers
note in ``search_changes`` what was sent as well.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.store import messages
from gateway.store.connection import Cursor, row, rows
from gateway.store.words import has_all, words_of_parts

# One batch holds the lane of one writer for some 20 ms.
BATCH: Final = 64
# The advisory lock of who indexes; any number that tenants' locks are unlikely to be.
LOCK: Final = 7_100_000_002

# Columns of messages.SELECT.
_PARTS, _SEQ = 4, 21
# The words say which room it is. OFFSET 0 keeps the planner from what it would do for a word that it does not know yet,
# which is reading all messages of the room; and messages are read one after the other until there are enough.
_IN_ROOM: Final = f"""
    {messages.SELECT} JOIN (
        SELECT seq FROM search_index WHERE words @@ ?::tsquery AND seq > ? AND seq < ? ORDER BY seq DESC OFFSET 0
    ) AS said ON said.seq = own.seq
    WHERE own.room_id = ? AND own.deleted_at IS NULL AND (own.created_at, own.id) < (?, ?) AND own.created_at >= ?
    ORDER BY said.seq DESC LIMIT ?
"""


def is_behind(db: Cursor) -> bool:
    """See ``FullText.is_behind``."""
    return row(db, "SELECT 1 FROM search_changes LIMIT 1") is not None


def index(db: Cursor) -> bool:
    """See ``FullText.index``. Only one node does it at a time: two could overtake each other with a message."""
    if rows(db, f"SELECT pg_try_advisory_xact_lock({LOCK})") != [(True,)]:
        return False
    changes = rows(
        db,
        """
        DELETE FROM search_changes WHERE number IN (SELECT number FROM search_changes ORDER BY number LIMIT ?)
        RETURNING room_id, seq
        """,
        (BATCH,),
    )
    for room_id, seq in sorted(set(changes)):
        found = row(db, "SELECT parts FROM messages WHERE room_id = ? AND seq = ?", (room_id, seq))
        if found is None:
            continue
        number = _number(db, room_id)
        words = [f"{number}:{word}" for word in words_of_parts(found[0])]
        if words:
            db.execute(
                """
                INSERT INTO search_index (room_id, seq, words) VALUES (?, ?, array_to_tsvector(string_to_array(?, ' ')))
                ON CONFLICT (room_id, seq) DO UPDATE SET words = excluded.words
                """,
                (room_id, seq, " ".join(words)),
            )
        else:
            db.execute("DELETE FROM search_index WHERE room_id = ? AND seq = ?", (room_id, seq))
    return len(changes) == BATCH


def in_room(
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
    """See ``FullText.in_room``."""
    found: list[tuple[Any, ...]] = []
    # Words are of letters and digits: nothing in them ends the quotation.
    match = " & ".join([f"'{room}:{word}':*" for word in wanted])
    below = 1 << 62
    while True:
        said = rows(
            db,
            _IN_ROOM,
            (match, cleared_seq, below, room_id, *before, since, most),
        )
        found += [message for message in said if has_all(words_of_parts(message[_PARTS]), wanted)]
        if len(said) < most or len(found) >= most:
            return found
        below = said[-1][_SEQ]


def _number(db: Cursor, room_id: str) -> int:
    found = row(db, "SELECT number FROM search_rooms WHERE room_id = ?", (room_id,)) or row(
        db, "INSERT INTO search_rooms (room_id) VALUES (?) RETURNING number", (room_id,)
    )
    assert found is not None  # it was made
    number: int = found[0]
    return number
