"""Each event of a room names the one before it, and the room its last: who was away finds what he has missed by following
them, and the index that took a page of each room in every commit is not needed any more.

Nodes of the version before do not know of it; triggers do it for them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("log", sa.Column("previous", sa.BigInteger(), nullable=True))
    op.add_column(
        "rooms", sa.Column("last_number", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.execute(
        """
        UPDATE log SET previous = COALESCE((
            SELECT max(before.number) FROM log AS before
            WHERE before.room_id = log.room_id AND before.number < log.number
        ), 0)
        WHERE room_id IS NOT NULL
        """
    )
    op.execute(
        "UPDATE rooms SET last_number = COALESCE((SELECT max(number) FROM log WHERE room_id = rooms.id), 0)"
    )
    op.drop_index("log_by_room", table_name="log")
    if op.get_context().dialect.name == "sqlite":
        _for_sqlite()
    else:
        _for_postgresql()


def _for_sqlite() -> None:
    op.execute(
        """
        CREATE TRIGGER log_chained AFTER INSERT ON log WHEN new.previous IS NULL AND new.room_id IS NOT NULL BEGIN
            UPDATE log SET previous = (SELECT last_number FROM rooms WHERE id = new.room_id)
            WHERE tenant_id = new.tenant_id AND number = new.number;
            UPDATE rooms SET last_number = new.number WHERE id = new.room_id;
        END
        """
    )


def _for_postgresql() -> None:
    op.execute(
        """
        CREATE FUNCTION log_chain() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            SELECT last_number INTO new.previous FROM rooms WHERE id = new.room_id;
            UPDATE rooms SET last_number = new.number WHERE id = new.room_id;
            RETURN new;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER log_chained BEFORE INSERT ON log FOR EACH ROW
        WHEN (new.previous IS NULL AND new.room_id IS NOT NULL) EXECUTE FUNCTION log_chain()
        """
    )
