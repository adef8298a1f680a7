"""Rooms, who is in them and was, and what they say."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from gateway.store.schema.metadata import METADATA

ROOMS = Table(
    "rooms",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text),
    Column("avatar_url", Text),
    Column("external_id", Text),
    Column("custom_type", Text),
    Column("metadata", Text),
    Column("is_frozen", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # The newest message's number and time, deleted or not; without messages, 0 and the time of creation.
    Column("seq", BigInteger, nullable=False, server_default=text("0")),
    Column("activity_at", BigInteger, nullable=False),
    # The message the list shows as last; 0 when there is none.
    Column("last_seq", BigInteger, nullable=False, server_default=text("0")),
    Column("last_at", BigInteger),
    Column("last_preview", Text),
    # The roster: how many, the place of the next to join, and a number that is another one after each change
    # of it or of is_frozen.
    Column("participant_count", Integer, nullable=False, server_default=text("0")),
    Column("next_position", BigInteger, nullable=False, server_default=text("0")),
    Column("roster_version", BigInteger, nullable=False, server_default=text("0")),
    # The number of the room's newest event in the tenant's log.
    Column("last_number", BigInteger, nullable=False, server_default=text("0")),
    UniqueConstraint("tenant_id", "external_id", name="rooms_external_id"),
    Index("rooms_by_activity", "tenant_id", "activity_at", "id"),
)

PARTICIPANTS = Table(
    "participants",
    METADATA,
    Column("room_id", Text, ForeignKey("rooms.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("joined_at", BigInteger, nullable=False),
    Column("read_seq", BigInteger, nullable=False, server_default=text("0")),
    Column("skipped", BigInteger, nullable=False, server_default=text("0")),
    Column("last_read_at", BigInteger),
    Column("last_read_message_id", Text),
    Column("delivered_seq", BigInteger, nullable=False, server_default=text("0")),
    Column("last_delivered_at", BigInteger),
    Column("last_delivered_message_id", Text),
    # Messages up to cleared_seq are gone for this participant; the room is hidden while its seq is
    # hidden_seq.
    Column("cleared_seq", BigInteger, nullable=False, server_default=text("0")),
    Column("hidden_seq", BigInteger, nullable=False, server_default=text("-1")),
    # Events of the room with later numbers in the tenant's log are this participant's.
    Column("from_number", BigInteger, nullable=False, server_default=text("0")),
    ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"], ondelete="CASCADE"),
    CheckConstraint("role IN ('OPERATOR', 'MEMBER')", name="participants_role"),
    UniqueConstraint("room_id", "position", name="participants_in_order"),
    Index("participants_by_user", "tenant_id", "user_id"),
    sqlite_with_rowid=False,  # small rows, always found by their key: one B-tree instead of two
)

# What must outlive leaving a room: who comes back does not see what he had cleared.
FORMER_PARTICIPANTS = Table(
    "former_participants",
    METADATA,
    Column("room_id", Text, ForeignKey("rooms.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("cleared_seq", BigInteger, nullable=False),
    Column("left_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

MESSAGES = Table(
    "messages",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("room_id", Text, ForeignKey("rooms.id", ondelete="CASCADE"), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("sender_id", Text, nullable=False),
    Column("client_message_id", Text),
    Column("parts", Text, nullable=False),
    Column("preview_text", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("parent_message_id", Text),
    Column("edited_at", BigInteger),
    Column("deleted_at", BigInteger),
    Column("deleted_hidden", Boolean, nullable=False, server_default=false()),
    Column("reactions", Text),
    Column("pinned_at", BigInteger),
    Column("pinned_by", Text),
    Column("forwarded_from_id", Text),
    Column("forwarded_from_sender_id", Text),
    UniqueConstraint("room_id", "seq", name="messages_in_order"),
    Index(
        "messages_by_client_id",
        "room_id",
        "sender_id",
        "client_message_id",
        unique=True,
        sqlite_where=text("client_message_id IS NOT NULL"),
        postgresql_where=text("client_message_id IS NOT NULL"),
    ),
    Index(
        "messages_by_parent",
        "parent_message_id",
        "seq",
        sqlite_where=text("parent_message_id IS NOT NULL"),
        postgresql_where=text("parent_message_id IS NOT NULL"),
    ),
    Index(
        "messages_pinned",
        "room_id",
        "pinned_at",
        sqlite_where=text("pinned_at IS NOT NULL"),
        postgresql_where=text("pinned_at IS NOT NULL"),
    ),
)
