"""Tenant apps, of which every tenant has one from the start, and the device tokens of users."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "tenant_apps",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("app_code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("push_payload_type", sa.Text(), nullable=False),
        sa.Column("one_signal_config", sa.Text(), nullable=True),
        sa.Column("fcm_config", sa.Text(), nullable=True),
        sa.Column("pushy_config", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("tenant_apps_tenant_id_fk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("tenant_apps_pk")),
        sa.UniqueConstraint("tenant_id", "app_code", name="tenant_apps_by_code"),
    )
    op.create_index(
        "users_by_app",
        "users",
        ["tenant_id", "app_code"],
        unique=False,
        sqlite_where=sa.text("app_code IS NOT NULL"),
        postgresql_where=sa.text("app_code IS NOT NULL"),
    )
    op.create_table(
        "device_tokens",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["users.tenant_id", "users.id"],
            name=op.f("device_tokens_tenant_id_fk"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("device_tokens_pk")),
        sa.UniqueConstraint("tenant_id", "provider", "token", name="device_tokens_by_token"),
    )
    op.create_index("device_tokens_by_user", "device_tokens", ["tenant_id", "user_id"], unique=False)
    # The default app has the tenant's own id, here as in new tenants: one that every database can make.
    op.execute(
        """
        INSERT INTO tenant_apps (id, tenant_id, app_code, name, push_payload_type, created_at, updated_at)
        SELECT id, id, 'default', 'Default', 'FULL', created_at, created_at FROM tenants
        """
    )
