"""In SQLite who indexes what was said merges the index as well, a little with each batch; FTS5 did it now and then, for 8 to
35 ms. A process of the version before leaves it to FTS5, which then merges only when it must.
"""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        op.execute("INSERT INTO search_index (search_index, rank) VALUES ('automerge', 0)")
