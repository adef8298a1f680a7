"""Which message has which words, in SQLite: an FTS5 table in which every room has a vocabulary of its own.

A word is kept behind the number of its room, ``17:hello``, and a message is the number ``room << 32 | seq``:

- A search reads what the viewer's own rooms say and nothing else, whatever a million others do: the words of a room
  lie side by side, so that even one letter of a beginning is found by reading a few of them.
- Newest first within a room is the order of the index itself. Rooms are asked in the order of their last message, and
  the rest of them not at all once a page is full of what is newer than anything they hold.
- Other rooms and tenants cannot be seen through it, not even in how long it takes.

The index follows. Triggers note what was sent, edited or deleted in ``search_changes``, which costs a send a
microsecond, in its own transaction; :func:`index` works that off in batches. What it finds is therefore only a
suggestion: each message is read and compared as it is now before anybody sees it.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.store import messages
from gateway.store.connection import Cursor, row, rows
from gateway.store.words import has_all, words_of_parts

# One batch holds the loop for some two milliseconds, and the larger it is the less each message costs: 26 us in
# batches of 64, 23 us in batches of 256.
BATCH: Final = 128
BATCH_CHARACTERS: Final = 100_000
SEQ_BITS: Final = 32

_PARTS: Final = 4  # the column of messages.SELECT
_SEQ: Final = (1 << SEQ_BITS) - 1


def is_behind(db: Cursor) -> bool:
    """See ``FullText.is_behind``."""
    return row(db, "SELECT 1 FROM search_changes LIMIT 1") is not None


def index(db: Cursor) -> bool:
    """See ``FullText.index``."""
    changes = rows(
        db,
        """
        SELECT changes.number, changes.room_id, changes.seq, search_rooms.number
        FROM search_changes AS changes LEFT JOIN search_rooms ON search_rooms.room_id = changes.room_id
        ORDER BY changes.number LIMIT ?
        """,
        (BATCH,),
    )
    if not changes:
        return False
    numbers: dict[str, int] = {}
    kept: dict[int, str] = {}
    gone: set[int] = set()
    last = characters = 0
    for change, room_id, seq, room in changes:
        last = change
        found = row(db, "SELECT parts FROM messages WHERE room_id = ? AND seq = ?", (room_id, seq))
        if found is None:
            continue
        number = room or numbers.get(room_id)
        if number is None:
            ((number,),) = rows(
                db, "INSERT INTO search_rooms (room_id) VALUES (?) RETURNING number", (room_id,)
            )
            numbers[room_id] = number
        doc = number << SEQ_BITS | seq
        if words := words_of_parts(found[0]):
            kept[doc] = " ".join([f"{number}:{word}" for word in words])
        else:
            gone.add(doc)
        characters += len(found[0])
        if characters > BATCH_CHARACTERS:
            break
    # In this order, or FTS5 would write what it has at each step back.
    db.executemany("REPLACE INTO search_index (rowid, words) VALUES (?, ?)", sorted(kept.items()))
    db.executemany("DELETE FROM search_index WHERE rowid = ?", [(doc,) for doc in sorted(gone)])
    db.execute("DELETE FROM search_changes WHERE number <= ?", (last,))
    return len(changes) == BATCH or last != changes[-1][0]


def in_room(
    db: Cursor,
    room: int,
    room_id: str,
    cleared_seq: int,
    wanted: list[str],
    *,
    before: tuple[int, str],
    most: int,
) -> list[tuple[Any, ...]]:
    """See ``FullText.in_room``."""
    found: list[tuple[Any, ...]] = []
    # Words are of letters and digits: nothing in them ends the quotation.
    match = " AND ".join([f'"{room}:{word}" *' for word in wanted])
    above, below = room << SEQ_BITS | cleared_seq, (room + 1) << SEQ_BITS
    while True:
        docs = rows(
            db,
            """
            SELECT rowid FROM search_index WHERE search_index MATCH ? AND rowid > ? AND rowid < ?
            ORDER BY rowid DESC LIMIT ?
            """,
            (match, above, below, most),
        )
        if not docs:
            return found
        seqs = [doc & _SEQ for (doc,) in docs]
        said = rows(
            db,
            f"""
            {messages.SELECT} WHERE own.room_id = ? AND own.seq IN ({",".join("?" * len(seqs))})
                AND own.deleted_at IS NULL AND (own.created_at, own.id) < (?, ?)
            ORDER BY own.seq DESC
            """,
            (room_id, *seqs, *before),
        )
        found += [message for message in said if has_all(words_of_parts(message[_PARTS]), wanted)]
        if len(docs) < most or len(found) >= most:
            return found
        below = docs[-1][0]
