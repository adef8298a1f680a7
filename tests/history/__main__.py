"""Run schedules until one breaks the promise: ``python -m tests.history --schedules 1000 --seed 1``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path

import trio

from tests.history.checker import check
from tests.history.cluster import running_cluster
from tests.history.records import History
from tests.history.schedule import plan
from tests.history.talk import talk


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.history", description=__doc__)
    parser.add_argument("--schedules", type=int, default=30, help="how many (30)")
    parser.add_argument("--seed", type=int, default=1, help="of the first; the others follow it (1)")
    parser.add_argument("--keep-going", action="store_true", help="run the rest after a violation")
    options = parser.parse_args()
    began, totals, failed, slowest_s = time.monotonic(), Counter[str](), 0, 0.0
    with tempfile.TemporaryDirectory() as folder, running_cluster(Path(folder)) as cluster:
        for seed in range(options.seed, options.seed + options.schedules):
            schedule = plan(seed)
            history = trio.run(partial(talk, cluster, schedule))
            totals.update(_count(history))
            slowest_s = max(slowest_s, history.healed_s)
            totals["schedules"] += 1
            totals["faults"] += len(schedule.faults)
            if violations := check(history):
                failed += 1
                print(f"\n{schedule}", *violations[:20], _where(history), sep="\n")
                if not options.keep_going:
                    break
            _say(f"{totals['schedules']}/{options.schedules} · {_summary(totals)} · {failed} failed")
    print(f"\n{_summary(totals)} · {failed} failed · {time.monotonic() - began:.0f} s")
    print(f"when nothing failed any more, everybody had everything within {slowest_s:.1f} s")
    return 1 if failed else 0


def _count(history: History) -> dict[str, int]:
    return {
        "messages": len(history.sends),
        "acknowledged": sum(bool(send.ids) for send in history.sends),
        "told": sum(len(visit.told) for visit in history.visits),
        "sessions": len(history.visits),
        "recoveries": sum(visit.recoveries for visit in history.visits),
    }


def _summary(totals: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in totals.items())


def _say(line: str) -> None:
    print(f"\r{line}" if sys.stdout.isatty() else line, end="" if sys.stdout.isatty() else "\n", flush=True)


def _where(history: History) -> str:
    """The whole history, in a file."""
    with tempfile.NamedTemporaryFile("w", prefix="history-", suffix=".txt", delete=False) as file:
        for name in ("members", "sends", "changes", "visits", "stored", "strange"):
            value = getattr(history, name)
            items = value.items() if isinstance(value, dict) else value
            file.write(f"== {name}\n" + "".join(f"{item}\n" for item in items))
    return f"the history is in {file.name}"


if __name__ == "__main__":
    sys.exit(main())
