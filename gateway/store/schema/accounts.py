"""Tenants, their apps, users and devices; what was signed out, and what was answered to whom."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from gateway.store.schema.metadata import METADATA

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

# Keys of the whole installation, the same on every node.
SECRETS = Table(
    "secrets",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
