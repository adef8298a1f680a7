"""The replies to a message can be found without reading its whole room."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index(
        "messages_by_parent",
        "messages",
        ["parent_message_id", "seq"],
        unique=False,
        sqlite_where=sa.text("parent_message_id IS NOT NULL"),
        postgresql_where=sa.text("parent_message_id IS NOT NULL"),
    )
