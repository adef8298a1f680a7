"""Migrations are the only way to a schema, and safe to run from several processes at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import apsw
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from gateway.store.migrate import MIGRATIONS, head, migrate
from gateway.store.schema import METADATA
from gateway.store.sqlite.connection import connect

SQLITE = SQLiteDialect_pysqlite()
POSTGRESQL = PGDialect_psycopg()  # type: ignore[no-untyped-call]


def objects(db: apsw.Connection) -> dict[str, list[str]]:
    """Name to definition of what the database holds, but for Alembic's own table and for the index of words, which
    no other database has: the columns, then the constraints, whose order means nothing.
    """
    found = db.execute(
        """
        SELECT name, sql FROM sqlite_master
        WHERE sql IS NOT NULL AND name <> 'alembic_version' AND name NOT LIKE 'search%'
        """
    ).fetchall()
    definitions = {str(name): parts(" ".join(str(sql).split())) for name, sql in found}
    return {
        name: [part for part in defined if not part.startswith("CONSTRAINT")]
        + sorted(part for part in defined if part.startswith("CONSTRAINT"))
        for name, defined in definitions.items()
    }


def parts(sql: str) -> list[str]:
    """A definition cut at the commas within its outer parentheses; a column that was added later stands behind the
    constraints there."""
    head, _, rest = sql.partition("(")
    body, _, tail = rest.rpartition(")")
    found, depth = [""], 0
    for character in body:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return [head.strip(), *(part.strip() for part in found), tail.strip()]


def test_migrations_lead_to_the_schema(tmp_path: Path) -> None:
    migrate(tmp_path / "migrated.db")
    declared = apsw.Connection(":memory:")
    for table in METADATA.sorted_tables:
        declared.execute(str(CreateTable(table).compile(dialect=SQLITE)))
        for index in table.indexes:
            declared.execute(str(CreateIndex(index).compile(dialect=SQLITE)))

    assert objects(apsw.Connection(str(tmp_path / "migrated.db"))) == objects(declared)


def test_the_schema_can_be_had_in_postgresql() -> None:
    for table in METADATA.sorted_tables:
        assert str(CreateTable(table).compile(dialect=POSTGRESQL))


def test_migrating_says_what_was_applied_and_then_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "gateway.db"

    assert migrate(path)[-1] == head()
    assert migrate(path) == []


def test_the_newest_revision_is_known_without_alembic() -> None:
    assert head() == ScriptDirectory(str(MIGRATIONS)).get_current_head()


def test_processes_that_start_at_once_apply_each_revision_once(tmp_path: Path) -> None:
    program = "import sys, pathlib, gateway.store.migrate as m; print(m.migrate(pathlib.Path(sys.argv[1])))"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, tmp_path / "gateway.db"], stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]

    said = sorted(process.communicate()[0].strip() for process in running)
    revisions = [step.revision for step in ScriptDirectory(str(MIGRATIONS)).walk_revisions()][::-1]

    assert [process.returncode for process in running] == [0] * 4
    assert said == [str(revisions), "[]", "[]", "[]"]


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    connect(path).execute(
        "CREATE TABLE messages (mine TEXT)"
    )  # the last but one that the first revision makes

    with pytest.raises(apsw.SQLError):
        migrate(path)

    assert list(objects(apsw.Connection(str(path)))) == ["messages"]


def test_a_file_that_is_no_database_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    path.write_text("a letter to my mother" * 100)

    with pytest.raises(apsw.NotADBError):
        migrate(path)

    assert path.read_text() == "a letter to my mother" * 100
