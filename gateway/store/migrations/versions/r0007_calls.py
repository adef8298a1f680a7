"""Calls, and who is in them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "calls",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("room_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("is_group", sa.Boolean(), nullable=False),
        sa.Column("media_room", sa.Text(), nullable=False),
        sa.Column("max_participants", sa.Integer(), nullable=False),
        sa.Column("ring_s", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ring_until", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["room_id"], ["rooms.id"], name=op.f("calls_room_id_fk"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("calls_pk")),
    )
    op.create_index(
        "calls_live",
        "calls",
        ["room_id"],
        unique=True,
        sqlite_where=sa.text("status IN ('ringing', 'active')"),
        postgresql_where=sa.text("status IN ('ringing', 'active')"),
    )
    op.create_index(
        "calls_due",
        "calls",
        ["ring_until"],
        unique=False,
        sqlite_where=sa.text("ring_until IS NOT NULL"),
        postgresql_where=sa.text("ring_until IS NOT NULL"),
    )
    op.create_index("calls_by_room", "calls", ["room_id", "id"], unique=False)
    op.create_table(
        "call_parties",
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("standing", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("joined_at", sa.BigInteger(), nullable=True),
        sa.Column("left_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["call_id"], ["calls.id"], name=op.f("call_parties_call_id_fk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("call_id", "user_id", name=op.f("call_parties_pk")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "call_parties_in_calls",
        "call_parties",
        ["tenant_id", "user_id"],
        unique=False,
        sqlite_where=sa.text("standing IN ('ringing', 'joined')"),
        postgresql_where=sa.text("standing IN ('ringing', 'joined')"),
    )
