"""Bringing a database to the current schema, by the same revisions for SQLite and PostgreSQL.

Alembic's revisions are the only way to a schema. They are compiled to SQL offline and run through our own
connection: the SQLite that Python links may be an old one with a WAL bug, and one file must not be opened
through two libraries. All revisions of a call are one transaction under a lock, so processes that start at
once take turns, and a migration that fails leaves nothing behind.

A database may be ahead of the process: while nodes are upgraded one after the other, those of the version
before work on. ``migrations/README.md`` says what a revision must keep to for that.
"""

from __future__ import annotations

import io
from contextlib import closing
from pathlib import Path

from gateway.errors import ConfigError
from gateway.store.connection import row

MIGRATIONS = Path(__file__).with_name("migrations")

# How long a process waits for another one's migration, in ms.
LOCK_WAIT_MS = 60_000
# The advisory lock of migrations; any number that tenants' locks are unlikely to be.
LOCK = 7_100_000_001


def migrate(database: Path | str) -> list[str]:
    """Create or upgrade the database; returns the revisions applied, oldest first.

    Args:
        database: the path of an SQLite file, or the URL of a PostgreSQL database.

    Raises:
        apsw.Error: the file cannot be opened, or is not ours.
        ConfigError: the server cannot be reached, does not let us in, or has something else there.
    """
    return _migrate_file(database) if isinstance(database, Path) else _migrate_server(database)


def head() -> str:
    """The newest revision, known from the file names alone: importing Alembic takes longer than starting
    does.
    """
    return max(path.name[1:5] for path in (MIGRATIONS / "versions").glob("r[0-9]*.py"))


def _migrate_file(path: Path) -> list[str]:
    from gateway.store.sqlite.connection import connect

    path.parent.mkdir(parents=True, exist_ok=True)
    db = connect(path, busy_ms=LOCK_WAIT_MS)

    def current() -> str | None:
        if row(db.cursor(), "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'") is None:
            return None
        found = row(db.cursor(), "SELECT version_num FROM alembic_version")
        return None if found is None else str(found[0])

    try:
        if not _is_behind(current()):
            return []
        db.execute("BEGIN IMMEDIATE")
        try:
            revisions, sql = _compile(current(), "sqlite")  # another process may have been faster
            db.execute(sql).fetchall()
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
        return revisions
    finally:
        db.close()


def _migrate_server(url: str) -> list[str]:
    try:
        import psycopg
    except ImportError as error:
        raise ConfigError(
            'database_url: needs the extra "postgresql": pip install ".[postgresql]"'
        ) from error
    from gateway.store.postgresql.session import connect

    try:
        with closing(connect(url, statement_ms=LOCK_WAIT_MS)) as db:  # which undoes what was not committed

            def current() -> str | None:
                if db.script("SELECT to_regclass('alembic_version')::text") is None:
                    return None
                found: str | None = db.script("SELECT version_num FROM alembic_version")
                return found

            while _is_behind(seen := current()):
                # Before the transaction: on a busy machine it takes seconds, and the server ends one that is idle for some.
                revisions, sql = _compile(seen, "postgresql")
                db.script(f"BEGIN; SELECT pg_advisory_xact_lock({LOCK})")
                if current() == seen:
                    # Filling a new column or index of a large table takes its time.
                    db.script("SET LOCAL statement_timeout = 0")
                    db.script(f"{sql}; COMMIT")
                    return revisions
                db.script("ROLLBACK")  # another process was faster
            return []
    except psycopg.Error as error:
        # What it could not reach or was refused; never the password.
        raise ConfigError(f"database_url: {' '.join(str(error).split())}") from error


def _is_behind(current: str | None) -> bool:
    return current is None or current < head()


def _compile(current: str | None, dialect: str) -> tuple[list[str], str]:
    """The revisions after ``current``, oldest first, and the SQL that applies them."""
    if not _is_behind(current):
        return [], ""
    # Alembic and SQLAlchemy are needed only for a database that is behind, which is once per upgrade.
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    import gateway.store.schema  # noqa: F401  which says how text is compared

    script = ScriptDirectory(str(MIGRATIONS))
    pending = [step.revision for step in script.iterate_revisions("head", current or "base")]
    sql = io.StringIO()
    with EnvironmentContext(
        Config(),
        script,
        fn=lambda revision, _: script._upgrade_revs("head", revision),
        as_sql=True,
        starting_rev=current,
    ) as environment:
        environment.configure(dialect_name=dialect, output_buffer=sql, literal_binds=True)
        environment.run_migrations()
    return pending[::-1], sql.getvalue()
