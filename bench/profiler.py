"""Where the gateway's time goes while it is measured: py-spy's samples, of the stretches that a bench meters."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.loop import BenchError

SAMPLES_PER_S = 250
DRAW_S = 30.0


class Profiler:
    """
    Args:
        base: what the files begin with; ``-1`` and so on follow, with ``.svg``.

    Raises:
        BenchError: py-spy is not installed.
    """

    def __init__(self, base: Path) -> None:
        found = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
        if found is None:
            raise BenchError("py-spy is not installed: pip install -e '.[bench]'")
        self._program = found
        self._base = base
        self._count = 0

    @contextlib.contextmanager
    def watching(self, pid: int) -> Iterator[None]:
        """Sample a process during the block; what it does waits a little at each sample, so its figures are worse.

        Raises:
            BenchError: it may not be looked into.
        """
        self._count += 1
        drawn = Path(f"{self._base}-{self._count}.svg")
        options = [
            "--rate",
            str(SAMPLES_PER_S),
            "--duration",
            "unlimited",
            "--output",
            str(drawn),
            "--native",
        ]
        with subprocess.Popen(
            [self._program, "record", "--pid", str(pid), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as spy:
            assert spy.stdout is not None
            said = ""
            while "Sampling process" not in said:
                if not (line := spy.stdout.readline()):
                    raise BenchError(f"py-spy cannot look into process {pid}: {said.strip()}")
                said += line
            try:
                yield
            finally:
                spy.send_signal(signal.SIGINT)
                spy.communicate(timeout=DRAW_S)
        print(f"profile: {drawn}", file=sys.stderr)
