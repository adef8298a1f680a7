"""The alternation: each case, round by round, each server in turn; and what the call was asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

from bench.loop import BenchError
from bench.profiler import Profiler
from bench.report import Figures, Report

Case = TypeVar("Case")

GATEWAY = "gateway"

Measured: TypeAlias = Iterable[tuple[str, Figures]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asked for.

    Attributes:
        rounds: how often each server is started and measured per case.
        seconds: how long each figure is measured; draining comes on top.
        sessions: crowd sizes, for the benches that have them.
        peers: which peers to run of those a bench has; None runs all.
        quick: a smoke run of a few seconds: sizes shrink, figures mean nothing.
        only: which parts of a bench that has parts; empty for all.
        workers: how many processes the gateway is, with a Redis and a PostgreSQL beside it when it is more than one.
        profiler: what looks into the gateway while it is measured.
        scratch: folder for databases and logs, removed afterwards.
        server_cores: where servers are pinned.
        driver_cores: where this process is.
    """

    rounds: int
    seconds: float
    sessions: tuple[int, ...]
    peers: frozenset[str] | None
    quick: bool
    only: tuple[str, ...]
    workers: int
    profiler: Profiler | None
    scratch: Path
    server_cores: frozenset[int]
    driver_cores: frozenset[int]

    def chosen(self, peers: Sequence[str]) -> list[str]:
        """The gateway and those of ``peers`` that were asked for, in order."""
        return [GATEWAY, *(peer for peer in peers if self.peers is None or peer in self.peers)]

    @property
    def warm_up_s(self) -> float:
        """How long to run before a figure counts: long enough for a just-in-time compiler."""
        return self.seconds / 2


def compete(
    report: Report,
    options: Options,
    servers: Sequence[str],
    cases: Sequence[Case],
    measure: Callable[[str, Case], Measured],
) -> None:
    """Run ``measure(server, case)``, which starts and stops the server, in turn; what it yields goes into the report.

    A server that fails a case is recorded as skipped there, with the reason, and not tried on it again.
    """
    for case in cases:
        failed: set[str] = set()
        for round_number in range(1, options.rounds + 1):
            for server in servers:
                if server in failed:
                    continue
                print(f"{report.bench} {case} round {round_number}: {server}", file=sys.stderr, flush=True)
                try:
                    for name, figures in measure(server, case):
                        report.add(name, server, round_number, figures)
                except (BenchError, OSError) as error:
                    failed.add(server)
                    report.skip(server, str(case), str(error))
