"""Migrations are the only way to a schema, and safe to run from several processes at once."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.schema import CreateIndex, CreateTable

import gateway.store.migrate as migrating
from gateway.config import StoreSettings
from gateway.errors import ConfigError
from gateway.store.engine import open_store
from gateway.store.migrate import MIGRATIONS, head, migrate
from gateway.store.schema import METADATA
from gateway.store.sqlite.connection import connect
from tests.support.postgresql import Server

SQLITE = SQLiteDialect_pysqlite()
POSTGRESQL = PGDialect_psycopg()  # type: ignore[no-untyped-call]


def objects(db: apsw.Connection) -> dict[str, list[str]]:
    """Name to definition of what the database holds, but for Alembic's own table, triggers, and the index of words,
    which no other database has: the columns, then the constraints, whose order means nothing.
    """
    found = db.execute(
        """
        SELECT name, sql FROM sqlite_master
        WHERE sql IS NOT NULL AND type <> 'trigger' AND name <> 'alembic_version' AND name NOT LIKE 'search%'
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


def catalog(url: str) -> dict[str, list[str]]:
    """What a PostgreSQL database holds, by table, but for Alembic's table, the lanes and the full-text search."""
    found: dict[str, list[str]] = {}
    with psycopg.connect(url) as connection:
        for table, definition in connection.execute(CATALOG).fetchall():
            if table not in ("alembic_version", "lanes") and not table.startswith("search_"):
                found.setdefault(table, []).append(definition)
    return {table: sorted(definitions) for table, definitions in found.items()}


CATALOG = """
    SELECT attrelid::regclass::text, concat_ws(' ', attname, format_type(atttypid, atttypmod),
        attcollation::regcollation, attnotnull, pg_get_expr(adbin, adrelid))
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    JOIN pg_class ON pg_class.oid = attrelid
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND attnum > 0
    UNION ALL
    SELECT conrelid::regclass::text, conname || ' ' || pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'
"""


def test_migrations_lead_to_the_schema_in_postgresql_too(postgresql: Server) -> None:
    with postgresql.bare_database() as url:
        migrate(url)
        migrated = catalog(url)
    with postgresql.bare_database() as url:
        with psycopg.connect(url) as connection:
            for table in METADATA.sorted_tables:
                connection.execute(str(CreateTable(table).compile(dialect=POSTGRESQL)).encode())
                for index in table.indexes:
                    connection.execute(str(CreateIndex(index).compile(dialect=POSTGRESQL)).encode())
        declared = catalog(url)

    assert len(migrated) > 10
    assert migrated == declared


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    """Where there is no database yet."""
    if request.param == "sqlite":
        yield tmp_path / "new folder" / "gateway.db"
        return
    server: Server = request.getfixturevalue("postgresql")
    with server.bare_database() as url:
        yield url


def test_migrating_says_what_was_applied_and_then_nothing(database: Path | str) -> None:
    assert migrate(database)[-1] == head()
    assert migrate(database) == []


def test_the_newest_revision_is_known_without_alembic() -> None:
    assert head() == ScriptDirectory(str(MIGRATIONS)).get_current_head()


def test_processes_that_start_at_once_apply_each_revision_once(database: Path | str) -> None:
    program = "import pathlib, sys, gateway.store.migrate as m; print(m.migrate(eval(sys.argv[1])))"
    where = f"pathlib.Path({str(database)!r})" if isinstance(database, Path) else repr(database)
    running = [
        subprocess.Popen([sys.executable, "-c", program, where], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]

    said = sorted(process.communicate()[0].strip() for process in running)
    revisions = [step.revision for step in ScriptDirectory(str(MIGRATIONS)).walk_revisions()][::-1]

    assert [process.returncode for process in running] == [0] * 4
    assert said == [str(revisions), "[]", "[]", "[]"]


def test_no_transaction_is_open_while_it_is_worked_out_what_to_apply(
    postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgresql.bare_database() as url, psycopg.connect(url, autocommit=True) as looking:
        states: list[str] = []

        def look(*arguments: Any) -> Any:
            query = "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            states.extend(state for (state,) in looking.execute(query))
            return compiled(*arguments)

        compiled = migrating._compile
        monkeypatch.setattr(migrating, "_compile", look)

        assert migrate(url)[-1] == head()

    assert states == ["idle"]


async def test_a_database_that_is_ahead_is_left_alone_and_worked_with(database: Path | str) -> None:
    migrate(database)
    ahead = "UPDATE alembic_version SET version_num = '9999'"
    if isinstance(database, Path):
        with closing(connect(database)) as file:
            file.execute(ahead)
    else:
        with psycopg.connect(database) as connection:
            connection.execute(ahead)

    assert migrate(database) == []
    async with open_store(database, settings=StoreSettings(synchronous="normal")) as store:
        assert (await store.create_tenant("Home")).id


REVISIONS = sorted((MIGRATIONS / "versions").glob("r*.py"))


def breaches(source: str) -> list[str]:
    """What in a revision would be in the way of a node of the version before; migrations/README.md has the rule."""
    found = []
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        if ast.unparse(call.func.value) != "op":
            continue
        operation = call.func.attr
        if operation not in {"create_table", "create_index", "drop_index", "add_column", "execute", *NEUTRAL}:
            found.append(operation)
        if operation == "add_column":
            given = ast.unparse(call.args[1])
            if "nullable=False" in given and "server_default" not in given:
                found.append(f"{given} without a default")
        if operation == "execute":
            statement = " ".join(ast.literal_eval(call.args[0]).split())
            if not statement.startswith(("CREATE ", "DROP TRIGGER ", "DROP FUNCTION ", "INSERT ", "UPDATE ")):
                found.append(statement)
    return found


NEUTRAL = {"f", "get_context"}


@pytest.mark.parametrize("revision", REVISIONS, ids=lambda path: path.stem)
def test_a_revision_only_adds(revision: Path) -> None:
    assert breaches(revision.read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        'op.drop_column("rooms", "name")',
        'op.alter_column("rooms", "name", nullable=False)',
        'op.add_column("rooms", sa.Column("topic", sa.Text(), nullable=False))',
        'op.execute("ALTER TABLE rooms RENAME COLUMN name TO title")',
        'op.execute("DELETE FROM rooms")',
    ],
)
def test_a_revision_that_takes_away_is_found(line: str) -> None:
    assert breaches(f"def upgrade():\n    {line}\n")


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    connect(path).execute(
        "CREATE TABLE messages (mine TEXT)"
    )  # the last but one that the first revision makes

    with pytest.raises(apsw.SQLError):
        migrate(path)

    assert list(objects(apsw.Connection(str(path)))) == ["messages"]


def test_a_migration_that_fails_on_a_server_leaves_nothing_behind(postgresql: Server) -> None:
    with postgresql.bare_database() as url:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE messages (mine TEXT)")

        with pytest.raises(ConfigError, match=r'^database_url: relation "messages" already exists'):
            migrate(url)

        assert list(catalog(url)) == ["messages"]


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(ConfigError, match=r'^database_url: needs the extra "postgresql": pip install '):
        migrate("postgresql://localhost/chat")


def test_a_server_that_cannot_be_reached_is_named_and_its_password_is_not(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^database_url: .*failed") as refused:
        migrate(f"postgresql://ann:sesame@/chat?host={tmp_path}")

    assert "sesame" not in str(refused.value)


def test_a_file_that_is_no_database_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    path.write_text("a letter to my mother" * 100)

    with pytest.raises(apsw.NotADBError):
        migrate(path)

    assert path.read_text() == "a letter to my mother" * 100
