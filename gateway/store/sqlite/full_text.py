"""Which message has which words, in SQLite: an FTS5 table in which every room has a vocabulary of its own.

A word is kept behind the number of its room, ``17:hello``, and a message is the number ``room << 32 | seq``:

- A search reads what the viewer's own rooms say and nothing else, whatever a million others do: the words of a room
  lie side by side, so that even one letter of a beginning is found by reading a few of them.
- Newest first within a room is the order of the index itself. Rooms are asked in the order of their last message, and
  the rest of them not at all once a page is full of what is newer than anything they hold.
- Other rooms and tenants cannot be seen through it, not even in how long it takes.

The index follows, so that a send writes nothing for it. Messages are rows in the order in which they were sent, and
``search_mark`` is how far :func:`index` has come; what is edited or deleted later a trigger notes in ``search_changes``.
What the index finds is therefore only a suggestion: each message is read and compared as it is now before anybody sees
it.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.store import messages
from gateway.store.connection import Cursor, row, rows
from gateway.store.words import has_all, words_of_parts

# One batch holds the loop for 0.4 ms, or for 1 to 2 when there is much to merge, and nothing is delivered meanwhile. Larger
# ones cost less a message, 16 us in batches of 128 where it is 20 in batches of 32, and smaller ones more: 26 us in batches
# of 8.
BATCH: Final = 32
BATCH_OCTETS: Final = 10_000
# FTS5 keeps a batch apart until it merges four with each other, and then four of these. Left to itself it does so now and
# then, for 8 to 35 ms. So each batch merges a little, 0.1 ms a page: so many pages for each that it adds are enough until
# there are a million of them. After that FTS5 merges when it must.
MERGES: Final = 10
PAGE_OCTETS: Final = 4_000
SEQ_BITS: Final = 32
# What _keep takes.
_SAID: Final = """
    SELECT messages.room_id, messages.seq, messages.parts, search_rooms.number
    FROM messages LEFT JOIN search_rooms ON search_rooms.room_id = messages.room_id
"""

# Columns of messages.SELECT.
_PARTS, _AT = 4, 6
_SEQ: Final = (1 << SEQ_BITS) - 1
_IN_ROOM: Final = f"""
    {messages.SELECT} JOIN search_index ON own.seq = search_index.rowid & ?
    WHERE search_index MATCH ? AND search_index.rowid > ? AND search_index.rowid < ? AND own.room_id = ?
        AND own.deleted_at IS NULL AND (own.created_at, own.id) < (?, ?)
    ORDER BY search_index.rowid DESC
"""


def is_behind(db: Cursor) -> bool:
    """See ``FullText.is_behind``."""
    found = row(
        db,
        """
        SELECT 1 FROM search_mark
        WHERE message_id <> COALESCE((SELECT id FROM messages ORDER BY rowid DESC LIMIT 1), '')
            OR EXISTS (SELECT 1 FROM search_changes)
        """,
    )
    return found is not None


def index(db: Cursor) -> bool:
    """See ``FullText.index``."""
    return _index_changed(db) or _index_sent(db)


def _index_changed(db: Cursor) -> bool:
    """Index some of what was edited or deleted; returns whether there was any."""
    waiting = rows(
        db,
        """
        SELECT changes.number, octet_length(messages.parts)
        FROM search_changes AS changes
        LEFT JOIN messages ON messages.room_id = changes.room_id AND messages.seq = changes.seq
        ORDER BY changes.number LIMIT ?
        """,
        (BATCH,),
    )
    if not waiting:
        return False
    last = _last_of_batch(waiting)
    _keep(
        db,
        f"""
        {_SAID} JOIN search_changes ON search_changes.room_id = messages.room_id AND search_changes.seq = messages.seq
        WHERE search_changes.number <= ?
        """,
        (last,),
    )
    db.execute("DELETE FROM search_changes WHERE number <= ?", (last,))
    return True


def _index_sent(db: Cursor) -> bool:
    """Index some of what was sent; returns whether there may be more."""
    ((mark, message_id),) = rows(db, "SELECT message, message_id FROM search_mark")
    if row(db, "SELECT 1 FROM messages WHERE rowid = ? AND id = ?", (mark, message_id)) is None:
        # Nothing was sent before; or rows were taken away by hand, and their numbers may be given again: only beginning
        # anew misses none.
        mark = 0
    waiting = rows(
        db,
        "SELECT rowid, octet_length(parts) FROM messages WHERE rowid > ? ORDER BY rowid LIMIT ?",
        (mark, BATCH),
    )
    last = _last_of_batch(waiting) if waiting else mark
    _keep(db, f"{_SAID} WHERE messages.rowid > ? AND messages.rowid <= ?", (mark, last))
    db.execute(
        """
        UPDATE search_mark SET message = ?, message_id = COALESCE((SELECT id FROM messages WHERE rowid = ?), '')
        """,
        (last, last),
    )
    return bool(waiting) and (len(waiting) == BATCH or last != waiting[-1][0])


def _last_of_batch(waiting: list[tuple[int, int | None]]) -> int:
    """Up to which of these (number, size) one batch goes: one of them, however large."""
    size = 0
    for number, octets in waiting:
        size += octets or 0
        if size > BATCH_OCTETS:
            return number
    return waiting[-1][0]


def _keep(db: Cursor, said: str, values: tuple[int, ...]) -> None:
    """Let the index say what these messages say now."""
    numbers: dict[str, int] = {}
    kept: dict[int, str] = {}
    gone: set[int] = set()
    for room_id, seq, parts, known in rows(db, said, values):
        number = known or numbers.get(room_id)
        if number is None:
            ((number,),) = rows(
                db, "INSERT INTO search_rooms (room_id) VALUES (?) RETURNING number", (room_id,)
            )
            numbers[room_id] = number
        doc = number << SEQ_BITS | seq
        if words := words_of_parts(parts):
            kept[doc] = " ".join([f"{number}:{word}" for word in words])
        else:
            gone.add(doc)
    # In this order, or FTS5 would write what it has at each step back.
    db.executemany("REPLACE INTO search_index (rowid, words) VALUES (?, ?)", sorted(kept.items()))
    db.executemany("DELETE FROM search_index WHERE rowid = ?", [(doc,) for doc in sorted(gone)])
    added = 1 + sum(map(len, kept.values())) // PAGE_OCTETS
    db.execute("INSERT INTO search_index (search_index, rank) VALUES ('merge', ?)", (MERGES * added,))


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
    match = " AND ".join([f'"{room}:{word}" *' for word in wanted])
    above, below = room << SEQ_BITS | cleared_seq, (room + 1) << SEQ_BITS
    # Row by row, as a message costs far more to read than to find. The newest comes first, in the order of the index.
    for message in db.execute(_IN_ROOM, (_SEQ, match, above, below, room_id, *before)):
        if message[_AT] < since:
            break
        if has_all(words_of_parts(message[_PARTS]), wanted):
            found.append(message)
            if len(found) == most:
                break
    return found
