"""Nobody writes an event of a room without the one before it any more, so that the triggers that did it for the version
before are gone: in SQLite any trigger has each INSERT copy the pages that it changes.
"""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        op.execute("DROP TRIGGER log_chained")
        return
    op.execute("DROP TRIGGER log_chained ON log")
    op.execute("DROP FUNCTION log_chain()")
