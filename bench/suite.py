"""Every figure of the project in one call: each bench as a command of its own, asked for what is promised of it.

A report for each is left in a folder, and pictures: ``speed`` of what one process does, ``nodes`` of what takes several or
happens now and then, ``growth`` of that bench. It closes with what was to be reached. All of it takes some twenty minutes
on two cores; ``--only`` takes a part. The soak, which takes half an hour, is not in it.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.loop import BenchError

# Those with a ratio to reach run five rounds; of the peers, those that the ratios are to.
RUNS = {
    "fanout": "fanout --rounds 5 --sessions 1000 --peers socketio-node,bun",
    "echo": "echo --rounds 5 --peers socketio-node,bun",
    "post": "post --rounds 5 --peers fastapi,fastapi-stub",
    "rooms": "rooms --rounds 5",
    "idle": "idle --rounds 1 --sessions 10000 --peers socketio-node,bun",
    "storm": "storm",
    "held": "storm --sessions 19850 --only connect,held",  # with 20 000 descriptors a process
    "recovery": "recovery --rounds 1",
    "nodes": "nodes --rounds 1",
    "calls": "calls --rounds 1",
    "commit": "commit --rounds 1 --sessions 1,10,50",
    "processes": "processes --rounds 1",
    **{
        f"{bench}-on-two": f"{bench} --rounds 1 --workers 2 --peers none{sessions}"
        for bench, sessions in (("fanout", " --sessions 1000"), ("echo", ""), ("post", ""), ("rooms", ""))
    },
    "growth": "growth",
}
PICTURES = {
    "speed": ("fanout", "echo", "post", "rooms", "idle", "commit"),
    "nodes": ("nodes", "processes", "recovery", "storm", "calls"),
    "growth": ("growth",),
}


def run(folder: Path, only: Sequence[str], *, quick: bool) -> bool:
    """Run what was asked for, one after the other; whether all of it could be measured.

    Raises:
        BenchError: there is nothing of such a name here.
    """
    if unknown := set(only) - RUNS.keys():
        raise BenchError(
            f"not among all of them: {', '.join(sorted(unknown))} (there are: {', '.join(RUNS)})"
        )
    folder.mkdir(parents=True, exist_ok=True)
    measured: dict[str, str] = {}
    chosen = [name for name in RUNS if not only or name in only]
    for name in chosen:
        report = str(folder / f"{name}.json")
        began = time.monotonic()
        done = _bench(
            *shlex.split(RUNS[name]), *(["--quick", "--peers", "none"] if quick else []), "--json", report
        )
        if done.returncode == 0:
            measured[name] = report
        closing = done.stdout.rstrip("\n").rpartition("\n")[2]
        print(f"[{time.monotonic() - began:.0f} s] {name}: {closing or 'nothing was measured'}", flush=True)
    for picture, names in PICTURES.items():
        if reports := [measured[name] for name in names if name in measured]:
            _bench("plot", *reports, "--plot", str(folder / picture))
    if measured:
        print(_bench("targets", *measured.values()).stdout, end="")
    return len(measured) == len(chosen)


def _bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
