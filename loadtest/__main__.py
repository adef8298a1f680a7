"""``python -m loadtest``: run one scenario; progress on stderr, JSON on stdout and, last, one line to read."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
import uuid
from importlib import import_module
from pathlib import Path
from typing import Any

from loadtest.platform import LoadError, Platform
from loadtest.record import Record
from loadtest.scenarios import MEMBERS_OF_A_ROOM, SCENARIOS, Rosters, groups

OPEN = "open"
RAMP_S = 30.0


def main() -> int:
    """Exit status 1 when anything failed, or the run could not be made."""
    arguments = _parse(sys.argv[1:])
    try:
        record = _run(arguments)
    except LoadError as error:
        print(error, file=sys.stderr)
        return 1
    outcome = record.outcome()
    about = {
        "command": shlex.join(["python", "-m", "loadtest", *_without_key(sys.argv[1:])]),
        "outcome": outcome,
        "users": arguments.users,
        "seconds": arguments.seconds,
        "driver_busy": round(record.driver_busy, 2),
        "driver_waited": round(record.driver_waited, 2),
    }
    if arguments.report is not None:
        import_module("loadtest.report").write(
            arguments.report, record, title=f"Load test: {arguments.scenario}", about=about
        )
    print(
        json.dumps(
            {"scenario": arguments.scenario, **about, "results": record.summary()},
            indent=2,
            ensure_ascii=False,
        )
    )
    print(f"{arguments.scenario}, {arguments.users} users: {outcome}")
    return 1 if record.failures or not record.count else 0


def _run(arguments: argparse.Namespace) -> Record:
    # Before anything opens a socket: locust patches the standard library for gevent.
    driver = import_module("loadtest.open" if arguments.scenario == OPEN else "loadtest.closed")
    rosters: Rosters
    if arguments.scenario == OPEN:
        options: dict[str, Any] = {"rate": arguments.rate}
        rosters = groups(arguments.room)(arguments.users)
    else:
        options = {"scenario": SCENARIOS[arguments.scenario]}
        rosters = options["scenario"].rosters(arguments.users)
    platform = Platform(arguments.url, arguments.api_key)
    _show(f"making {arguments.users} users in {len(rosters)} rooms")
    people = platform.fill(f"load-{uuid.uuid4().hex[:8]}", rosters, arguments.users)
    record = Record(expected_s=arguments.seconds + RAMP_S)
    driver.run(
        platform=platform, people=people, seconds=arguments.seconds, record=record, show=_show, **options
    )
    return record


def _show(line: str) -> None:
    """On a terminal each line takes the place of the last."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write(f"\r\x1b[K{line[:width]}")
    else:
        sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _without_key(argv: list[str]) -> list[str]:
    """The command for the report, which others may read."""
    shown = []
    for before, argument in zip(["", *argv], argv, strict=False):
        if before == "--api-key":
            shown.append("…")
        else:
            name, given, _ = argument.partition("=")
            shown.append(f"{name}=…" if name == "--api-key" and given else argument)
    return shown


def _parse(argv: list[str]) -> argparse.Namespace:
    known = "\n".join(f"  {name:15}{scenario.about}" for name, scenario in SCENARIOS.items())
    parser = argparse.ArgumentParser(
        prog="python -m loadtest",
        description="Put a load on a gateway, and tell how it fared.",
        epilog=f"scenarios:\n{known}\n  {OPEN:15}many raw connections, messages on a schedule",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenario", choices=[*SCENARIOS, OPEN], metavar="SCENARIO", help="see below")
    parser.add_argument("--url", required=True, help="of the gateway")
    parser.add_argument(
        "--api-key", required=True, help="of a tenant that it has; users and rooms stay there"
    )
    parser.add_argument("--users", type=int, default=100, help="how many (100)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long, once all are there (60)")
    parser.add_argument("--report", type=Path, metavar="OUT.HTML", help="where to leave the report")
    parser.add_argument("--rate", type=float, default=100.0, help=f"{OPEN}: messages a second, of all (100)")
    parser.add_argument(
        "--room",
        type=int,
        default=MEMBERS_OF_A_ROOM,
        help=f"{OPEN}: people in each room ({MEMBERS_OF_A_ROOM})",
    )
    arguments = parser.parse_args(argv)
    if arguments.users < 2 or arguments.seconds <= 0 or arguments.rate <= 0 or arguments.room < 2:
        parser.error("at least two users, rooms of two, and a time and a rate above zero")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
