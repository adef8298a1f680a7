"""The log of durable events, and the rooms that sockets have open."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("tenants", sa.Column("log_epoch", sa.Text(), server_default="", nullable=False))
    # The random end of a UUID, which every database can take.
    op.execute("UPDATE tenants SET log_epoch = substr(id, 29, 8)")
    op.add_column(
        "participants",
        sa.Column("from_number", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.create_table(
        "log",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("room_id", sa.Text(), nullable=True),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("user_ids", sa.Text(), nullable=True),
        sa.Column("logged_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("log_tenant_id_fk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "number", name=op.f("log_pk")),
        sqlite_with_rowid=False,
    )
    op.create_index("log_by_room", "log", ["room_id", "number"], unique=False)
    op.create_table(
        "stays",
        sa.Column("room_id", sa.Text(), nullable=False),
        sa.Column("to_number", sa.BigInteger(), nullable=False),
        sa.Column("from_number", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["room_id"], ["rooms.id"], name=op.f("stays_room_id_fk"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("room_id", "to_number", name=op.f("stays_pk")),
        sqlite_with_rowid=False,
    )
    op.create_index("stays_by_user", "stays", ["tenant_id", "user_id", "to_number"], unique=False)
    op.create_table(
        "addressees",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("addressees_tenant_id_fk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "number", "user_id", name=op.f("addressees_pk")),
        sqlite_with_rowid=False,
    )
    op.create_index("addressees_by_user", "addressees", ["tenant_id", "user_id", "number"], unique=False)
    op.create_table(
        "open_rooms",
        sa.Column("socket_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("room_id", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("open_rooms_tenant_id_fk"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["room_id"], ["rooms.id"], name=op.f("open_rooms_room_id_fk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("socket_id", name=op.f("open_rooms_pk")),
        sqlite_with_rowid=False,
    )
    op.create_index("open_rooms_by_user", "open_rooms", ["tenant_id", "user_id"], unique=False)
    op.create_index("open_rooms_by_age", "open_rooms", ["opened_at"], unique=False)
