"""Expired idempotency records are found by their tenant: no tenant's write touches another's rows."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_index(
        "idempotency_by_tenant_and_expiry", "idempotency", ["tenant_id", "expires_at"], unique=False
    )
    op.drop_index("idempotency_by_expiry", table_name="idempotency")
