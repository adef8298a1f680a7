"""Bringing a database to the current schema.

Alembic's revisions are the only way to a schema. They are compiled to SQL offline and run through our own
connection: the SQLite that Python links may be an old one with a WAL bug, and one file must not be opened
through two libraries. All revisions of a call are one transaction under the write lock, so processes that
start at once take turns, and a migration that fails leaves nothing behind.
"""

from __future__ import annotations

import io
from pathlib import Path

import apsw

from gateway.store.connection import row
from gateway.store.sqlite.connection import connect

MIGRATIONS = Path(__file__).with_name("migrations")

# How long a process waits for another one's migration, in ms.
LOCK_WAIT_MS = 60_000


def migrate(path: Path) -> list[str]:
    """Create or upgrade the database at ``path``; returns the revisions applied, oldest first.

    Raises:
        apsw.Error: the file cannot be opened or is not ours.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    db = connect(path, busy_ms=LOCK_WAIT_MS)
    try:
        if _current(db) == head():
            return []
        db.execute("BEGIN IMMEDIATE")
        try:
            current = _current(db)  # another process may have been faster
            revisions, sql = _compile(current)
            db.execute(sql).fetchall()
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
        return revisions
    finally:
        db.close()


def head() -> str:
    """The newest revision, known from the file names alone: importing Alembic takes longer than starting
    does.
    """
    return max(path.name[1:5] for path in (MIGRATIONS / "versions").glob("r[0-9]*.py"))


def _current(db: apsw.Connection) -> str | None:
    cursor = db.cursor()
    if row(cursor, "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'") is None:
        return None
    found = row(cursor, "SELECT version_num FROM alembic_version")
    return None if found is None else str(found[0])


def _compile(current: str | None) -> tuple[list[str], str]:
    """The revisions after ``current``, oldest first, and the SQL that applies them."""
    # Alembic and SQLAlchemy are needed only for a database that is behind, which is once per upgrade.
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(MIGRATIONS))
    pending = [step.revision for step in script.iterate_revisions("head", current or "base")]
    if not pending:
        return [], ""
    sql = io.StringIO()
    with EnvironmentContext(
        Config(),
        script,
        fn=lambda revision, _: script._upgrade_revs("head", revision),
        as_sql=True,
        starting_rev=current,
    ) as environment:
        environment.configure(dialect_name="sqlite", output_buffer=sql, literal_binds=True)
        environment.run_migrations()
    return pending[::-1], sql.getvalue()
