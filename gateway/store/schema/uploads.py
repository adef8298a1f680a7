"""Files, and which messages they are in."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Table, Text, text

from gateway.store.schema.metadata import METADATA

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
