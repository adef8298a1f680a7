"""The tables, defined once for SQLite and PostgreSQL.

A database gets them from ``migrations/`` alone; a test holds the two equal. Times are integers of
milliseconds since the epoch; JSON is text, exactly as it is sent out.

How unread counts stay exact at a price that does not grow with the room: a room numbers its messages
(``rooms.seq``), a participant keeps the number read up to (``read_seq``) and how many of the later ones do
not count for him (``skipped``: his own, and deleted ones). Then::

    unread = rooms.seq - participants.read_seq - participants.skipped

and a send touches three rows: the message, the room, and the sender's own participant.
"""

from __future__ import annotations

from gateway.store.schema import accounts, calls, log, rooms, uploads
from gateway.store.schema.metadata import METADATA

__all__ = ["METADATA", "accounts", "calls", "log", "rooms", "uploads"]
