"""The store alone: durable messages a second with 1, 10, 50 and 200 writers, group commit beside a commit per write.

The same statements either way: the gateway's store groups what its writers ask for at the same time, the other side
takes one write after the other and commits each, which is what any number of writers come to with SQLite.
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
from bench.report import Report

PEERS = ("commit-per-write",)
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
    database = Path(mkdtemp(prefix="store-", dir=options.scratch)) / "store.db"
    done = subprocess.run(
        [sys.executable, "-m", "bench.writers", name, str(database), str(writers), str(options.seconds)],
        cwd=ROOT,
        env=bare_environment(),
        capture_output=True,
        text=True,
        timeout=options.seconds * 10 + 60,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, {options.server_core}),
    )
    if done.returncode:
        raise BenchError(f"the writers failed: {done.stderr.strip()[-300:]}")
    yield f"{writers} writers", json.loads(done.stdout)
