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

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.ext.compiler import compiles


@compiles(Text, "postgresql")
def _compared_by_bytes(*_: object, **__: object) -> str:
    """Text is compared by its bytes, as SQLite does, whatever the language of the database."""
    return 'TEXT COLLATE "C"'


# Every constraint has a name, so that a later migration can drop it.
METADATA = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
        "uq": "%(table_name)s_%(column_0_name)s_uq",
        "ck": "%(constraint_name)s",
    }
)

TENANTS = Table(
    "tenants",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("api_key_sha256", LargeBinary, nullable=False, unique=True),
    Column("signing_secret", LargeBinary, nullable=False),
    Column("webhook_secret", Text, nullable=False),
    Column("webhook_url", Text),
    Column("settings", Text, nullable=False, server_default="{}"),
    Column("created_at", BigInteger, nullable=False),
    # Which log the tenant's numbers are of: random, so that those of another database are not taken for ours.
    Column("log_epoch", Text, nullable=False, server_default=""),
)

USERS = Table(
    "users",
    METADATA,
    Column("tenant_id", Text, ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("app_code", Text),
    Column("avatar_url", Text),
    Column("metadata", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    # Deleting an app detaches its users.
    Index(
        "users_by_app",
        "tenant_id",
        "app_code",
        sqlite_where=text("app_code IS NOT NULL"),
        postgresql_where=text("app_code IS NOT NULL"),
    ),
)

# Provider settings are JSON objects with secrets in them; they leave the server only to the provider.
TENANT_APPS = Table(
    "tenant_apps",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("app_code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("push_payload_type", Text, nullable=False),
    Column("one_signal_config", Text),
    Column("fcm_config", Text),
    Column("pushy_config", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("tenant_id", "app_code", name="tenant_apps_by_code"),
)

DEVICE_TOKENS = Table(
    "device_tokens",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("platform", Text),
    Column("created_at", BigInteger, nullable=False),
    ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"], ondelete="CASCADE"),
    UniqueConstraint("tenant_id", "provider", "token", name="device_tokens_by_token"),
    Index("device_tokens_by_user", "tenant_id", "user_id"),
)

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

UPLOADS = Table(
    "uploads",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("owner_id", Text, nullable=False),
    Column("room_id", Text),
    Column("filename", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("blob", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    # When to remove it, should nobody use it by then; NULL while it is in a message.
    Column("sweep_at", BigInteger),
    CheckConstraint("status IN ('pending', 'completed', 'removed')", name="uploads_status"),
    Index(
        "uploads_due",
        "sweep_at",
        sqlite_where=text("sweep_at IS NOT NULL"),
        postgresql_where=text("sweep_at IS NOT NULL"),
    ),
)

# Which uploads are in which messages.
ATTACHMENTS = Table(
    "attachments",
    METADATA,
    Column("upload_id", Text, ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True),
    Column("message_id", Text, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    Column("room_id", Text, nullable=False),
    Index("attachments_by_message", "message_id"),
    sqlite_with_rowid=False,
)

# What the files of a tenant take, counted as they come and go.
STORAGE = Table(
    "storage",
    METADATA,
    Column("tenant_id", Text, ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True),
    Column("bytes_used", BigInteger, nullable=False),
    Column("file_count", BigInteger, nullable=False),
    Column("pending_bytes", BigInteger, nullable=False),
)

# Keys of the whole installation, the same on every node.
SECRETS = Table(
    "secrets",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

IDEMPOTENCY = Table(
    "idempotency",
    METADATA,
    Column("tenant_id", Text, ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True),
    Column("credential", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("idempotency_by_tenant_and_expiry", "tenant_id", "expires_at"),
)

# See log.py. An event of a room is for those who are in it at its number; user_ids names those of any other.
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

CALLS = Table(
    "calls",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("room_id", Text, ForeignKey("rooms.id", ondelete="CASCADE"), nullable=False),
    Column("type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("is_group", Boolean, nullable=False),
    Column("media_room", Text, nullable=False),
    Column("max_participants", Integer, nullable=False),
    Column("ring_s", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # When the ring is over; null once nobody is rung.
    Column("ring_until", BigInteger),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("end_reason", Text),
    # A room has one call at a time.
    Index(
        "calls_live",
        "room_id",
        unique=True,
        sqlite_where=text("status IN ('ringing', 'active')"),
        postgresql_where=text("status IN ('ringing', 'active')"),
    ),
    Index(
        "calls_due",
        "ring_until",
        sqlite_where=text("ring_until IS NOT NULL"),
        postgresql_where=text("ring_until IS NOT NULL"),
    ),
    Index("calls_by_room", "room_id", "id"),
)

CALL_PARTIES = Table(
    "call_parties",
    METADATA,
    Column("call_id", Text, ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("place", Integer, nullable=False),
    Column("standing", Text, nullable=False),
    Column("device", Text),
    Column("joined_at", BigInteger),
    Column("left_at", BigInteger),
    # Small, however many calls there were: when a call is over, nobody is in it.
    Index(
        "call_parties_in_calls",
        "tenant_id",
        "user_id",
        sqlite_where=text("standing IN ('ringing', 'joined')"),
        postgresql_where=text("standing IN ('ringing', 'joined')"),
    ),
    sqlite_with_rowid=False,
)

# Which session tokens have been taken back; an empty user_id or jti stands for all of them.
REVOCATIONS = Table(
    "revocations",
    METADATA,
    Column("tenant_id", Text, ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("jti", Text, primary_key=True),
    Column("revoked_at", BigInteger, nullable=False),
    Index("revocations_by_time", "revoked_at"),
)
