"""Which machine, which commit, and the driver's own place on it."""

from __future__ import annotations

import gc
import os
import platform
import resource
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def settle_driver(*, alone: bool = True) -> dict[str, Any]:
    """Pin this process to the last core, lift its descriptor limit, stop its collector; say what came of it.

    The collector is stopped because 10 000 live sessions make each full pass cost milliseconds, which would be measured
    as the server's latency; what the driver allocates is freed by reference counts.

    Args:
        alone: whether the driver and the server have a core each; else all share all cores.
    """
    cores = sorted(os.sched_getaffinity(0))
    if alone:
        os.sched_setaffinity(0, {cores[-1]})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.disable()
    return {
        "server_cores": cores[:1] if alone else cores,
        "driver_cores": cores[-1:] if alone else cores,
        "descriptors": hard,
    }


def describe(scratch: Path) -> dict[str, object]:
    """The machine as a reader of the figures needs to know it."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "filesystem": _filesystem(scratch),
        "load_before": round(os.getloadavg()[0], 2),
    }


def commit() -> str:
    """The commit that is measured, with ``-dirty`` when the tree differs from it."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _filesystem(path: Path) -> str:
    """Type of the file system the stores lie on: a commit that reaches a disk costs what that disk costs."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    held = [fields for fields in mounts if path.resolve().is_relative_to(fields[1])]
    return max(held, key=lambda fields: len(fields[1]))[2] if held else "unknown"
