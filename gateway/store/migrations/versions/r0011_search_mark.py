"""In SQLite the index of words follows messages by the order of their rows, and a send writes nothing for it.

A file has one process. What one of the version before sends after this is not found until it has been replaced, and then is.
PostgreSQL's rows have no such order: there the triggers go on noting what is sent, which costs the server and not the
gateway.
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    if op.get_context().dialect.name != "sqlite":
        return
    op.execute("CREATE TABLE search_mark (message INTEGER NOT NULL, message_id TEXT NOT NULL)")
    # Whatever was sent so far is in the index, or noted.
    op.execute(
        """
        INSERT INTO search_mark (message, message_id)
        SELECT COALESCE(max(rowid), 0), COALESCE((SELECT id FROM messages ORDER BY rowid DESC LIMIT 1), '')
        FROM messages
        """
    )
    op.execute("DROP TRIGGER search_message_sent")
