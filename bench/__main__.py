"""``python -m bench``: run one bench, print its JSON and, last, one line to read."""

from __future__ import annotations

import argparse
import importlib
import json
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp
from types import ModuleType
from typing import Any

from bench import machine
from bench.contest import Options
from bench.gateway import ENVIRONMENT
from bench.loop import BenchError
from bench.peers import PEERS, version
from bench.profiler import Profiler

BENCHES = (
    "fanout",
    "echo",
    "post",
    "rooms",
    "idle",
    "commit",
    "nodes",
    "calls",
    "recovery",
    "processes",
    "soak",
    "growth",
    "storm",
)


def main() -> int:
    """Exit status 1 when a figure of the gateway's own is missing; peers that could not run are only reported."""
    arguments = _parse(sys.argv[1:])
    try:
        return _do(arguments)
    except BenchError as error:
        raise SystemExit(str(error)) from None


def _do(arguments: argparse.Namespace) -> int:
    if arguments.bench == "list":
        for name in BENCHES:
            print(f"{name:11}{(_module(name).__doc__ or '').splitlines()[0]}")
        return 0
    if arguments.bench == "plot":
        _plot([_module("plot").read(file) for file in arguments.files], arguments.plot or Path("bench"))
        return 0
    if arguments.bench == "targets":
        print("\n".join(_module("targets").table([_module("plot").read(file) for file in arguments.files])))
        return 0
    if arguments.bench == "all":
        folder = arguments.json or Path("figures")
        return 0 if _module("suite").run(folder, arguments.only, quick=arguments.quick) else 1
    return _measure(arguments)


def _measure(arguments: argparse.Namespace) -> int:
    bench = _module(arguments.bench)
    known: tuple[str, ...] = bench.PEERS
    peers = _peers(arguments.peers, known)
    scratch = Path(mkdtemp(prefix="gateway-bench-", dir=arguments.scratch))
    try:
        about = {
            "command": shlex.join(["python", "-m", "bench", *sys.argv[1:]]),
            "commit": machine.commit(),
            "machine": machine.describe(scratch),
        }
        placed = machine.settle_driver(alone=arguments.workers == 1)
        options = Options(
            rounds=arguments.rounds or (1 if arguments.quick else getattr(bench, "ROUNDS", 3)),
            seconds=arguments.seconds or (0.2 if arguments.quick else getattr(bench, "SECONDS", 2.0)),
            sessions=arguments.sessions,
            peers=peers,
            quick=arguments.quick,
            only=arguments.only,
            workers=arguments.workers,
            profiler=arguments.profile and Profiler(arguments.profile),
            scratch=scratch,
            server_cores=frozenset(placed["server_cores"]),
            driver_cores=frozenset(placed["driver_cores"]),
        )
        report = bench.run(options)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    about |= {
        "placed": placed,
        "parameters": {
            "rounds": options.rounds,
            "seconds": options.seconds,
            "workers": options.workers,
            "quick": options.quick,
        },
        "gateway_environment": ENVIRONMENT,
        "peers": {name: version(PEERS[name]) for name in {row.server for row in report.rows} & PEERS.keys()},
    }
    print(written := report.to_json(about))
    print(report.line())
    if arguments.json is not None:
        arguments.json.write_text(f"{written}\n", encoding="utf-8")
    if arguments.plot is not None and report.rows:
        _plot([json.loads(written)], arguments.plot)
    return 1 if any(skip["server"] == report.reference for skip in report.skipped) or not report.rows else 0


def _plot(reports: Sequence[Mapping[str, Any]], base: Path) -> None:
    for path in _module("plot").draw(reports, base):
        print(f"drawn: {path}", file=sys.stderr)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure the gateway beside its peers. Prints JSON and, last, one line to read.",
    )
    parser.add_argument(
        "bench",
        choices=[*BENCHES, "all", "list", "plot", "targets"],
        help="what to measure; list tells about each, all measures what the README tells, targets compares with what is to "
        "be reached",
    )
    parser.add_argument("files", nargs="*", type=Path, help="plot, targets: reports that --json left")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to leave the report; all: a folder")
    parser.add_argument("--plot", type=Path, metavar="NAME", help="leave a picture, NAME.png and NAME.svg")
    parser.add_argument("--rounds", type=int, default=0, help="times each server is measured (3)")
    parser.add_argument("--seconds", type=float, default=0.0, help="how long each figure is measured (2)")
    parser.add_argument(
        "--sessions",
        type=_numbers,
        default=(),
        metavar="N,N,…",
        help="crowd sizes (fanout: 1,100,1000,10000)",
    )
    parser.add_argument(
        "--peers", default="all", metavar="A,B,…", help="which peers to run: all, none, or names"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run of seconds; its figures mean nothing"
    )
    parser.add_argument(
        "--only",
        type=_names,
        default=(),
        metavar="A,B,…",
        help="growth: which axes; storm: which parts; all: which benches",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        help="fanout, echo, post, rooms: processes of the gateway, on all cores (1)",
    )
    parser.add_argument(
        "--profile", type=Path, metavar="NAME", help="leave flame graphs of what is measured, NAME-1.svg, …"
    )
    parser.add_argument("--scratch", type=Path, help="where databases go meanwhile (the temporary folder)")
    arguments = parser.parse_args(argv)
    if (arguments.bench in ("plot", "targets")) != bool(arguments.files):
        parser.error("files are for plot and targets, which are for files")
    return arguments


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number.replace("_", "")) for number in text.split(","))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _peers(text: str, known: tuple[str, ...]) -> frozenset[str] | None:
    if text == "all":
        return None
    named = frozenset() if text == "none" else frozenset(text.split(","))
    if unknown := named - set(known):
        raise SystemExit(f"no such peer here: {', '.join(sorted(unknown))} (there are: {', '.join(known)})")
    return named


def _module(bench: str) -> ModuleType:
    try:
        return importlib.import_module(f"bench.{bench}")
    except ModuleNotFoundError as error:
        raise SystemExit(f"{error.name} not installed: pip install -e '.[bench]'") from None


if __name__ == "__main__":
    sys.exit(main())
