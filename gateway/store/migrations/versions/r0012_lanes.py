"""In PostgreSQL each lane of writers leaves in each of its transactions which one it was.

When the answer to a COMMIT is lost, this says what became of it. The number of the transaction does not: a server that
crashed before it was written down gives the same number to another one.
"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        return
    op.execute(
        """
        CREATE TABLE lanes (id BIGINT PRIMARY KEY, number BIGINT NOT NULL, used_at BIGINT NOT NULL)
        WITH (fillfactor = 20)
        """
    )
