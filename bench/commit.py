"""The store alone: durable messages a second with 1, 10, 50 and 200 writers, group commit beside a commit per write.

The same statements either way: the gateway's store groups what its writers ask for at the same time, the other side
takes one write after the other and commits each, which is what any number of writers come to with SQLite.

``postgresql`` is the gateway's store again, on a PostgreSQL beside it that has the other processor to itself. One
tenant's writes go through one connection, and so do those of each writer here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

from bench.contest import Measured, Options, compete
from bench.gateway import bare_environment
from bench.loop import BenchError
from bench.machine import ROOT
from bench.postgresql import running_postgresql
from bench.report import Figures, Report

PEERS = ("commit-per-write", "postgresql")
WRITERS = (1, 10, 50, 200)


def run(options: Options) -> Report:
    report = Report("commit", "writes_per_s", "durable writes/s")
    compete(
        report,
        options,
        options.chosen(PEERS),
        options.sessions or ((1, 5) if options.quick else WRITERS),
        lambda server, writers: _measure(server, writers, options),
    )
    return report


def _measure(name: str, writers: int, options: Options) -> Measured:
    if name != "postgresql":
        database = Path(mkdtemp(prefix="store-", dir=options.scratch)) / "store.db"
        yield f"{writers} writers", _write(name, str(database), writers, options)
        return
    with running_postgresql() as server, server.database() as url:
        yield f"{writers} writers", _write(name, url, writers, options)


def _write(name: str, database: str, writers: int, options: Options) -> Figures:
    done = subprocess.run(
        [sys.executable, "-m", "bench.writers", name, database, str(writers), str(options.seconds)],
        cwd=ROOT,
        env=bare_environment(),
        capture_output=True,
        text=True,
        timeout=options.seconds * 10 + 60,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, options.server_cores),
    )
    if done.returncode:
        raise BenchError(f"the writers failed: {done.stderr.strip()[-300:]}")
    figures: Figures = json.loads(done.stdout)
    return figures
