"""The log of each tenant's durable events, and what a socket that comes back is asked about."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text

from gateway.store.schema.metadata import METADATA

# See store/log.py. An event of a room is for those who are in it at its number; user_ids names those of any other.
LOG = Table(
    "log",
    METADATA,
    Column("tenant_id", Text, ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("room_id", Text),
    Column("event", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("user_ids", Text),
    Column("logged_at", BigInteger, nullable=False),
    # Of a room's event: the number of the room's event before it, or 0.
    Column("previous", BigInteger),
    sqlite_with_rowid=False,
)

# Each time in a room that has ended: events with numbers after the one and up to the other were his.
STAYS = Table(
    "stays",
    METADATA,
    Column("room_id", Text, ForeignKey("rooms.id", ondelete="CASCADE"), primary_key=True),
    Column("to_number", BigInteger, primary_key=True),
    Column("from_number", BigInteger, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Index("stays_by_user", "tenant_id", "user_id", "to_number"),
    sqlite_with_rowid=False,
)

# The users of events that are not for a whole room.
ADDRESSEES = Table(
    "addressees",
    METADATA,
    Column("tenant_id", Text, ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Index("addressees_by_user", "tenant_id", "user_id", "number"),
    sqlite_with_rowid=False,
)

# The room that a socket has open; kept after the socket, for its client to come back to. Null once the user is
# no longer in it.
OPEN_ROOMS = Table(
    "open_rooms",
    METADATA,
    Column("socket_id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", Text, nullable=False),
    Column("room_id", Text, ForeignKey("rooms.id", ondelete="CASCADE")),
    Column("opened_at", BigInteger, nullable=False),
    Index("open_rooms_by_user", "tenant_id", "user_id"),
    Index("open_rooms_by_age", "opened_at"),
    sqlite_with_rowid=False,
)
