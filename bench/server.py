"""A server under measurement: a process of its own, alone on one core, started and stopped by its process id."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.loop import BenchError
from bench.machine import ROOT
from bench.profiler import Profiler

_LISTENING = re.compile(r"listening on \S*?:(\d+)")


@dataclass(slots=True)
class Spent:
    """What a stretch of time took; filled when it is over.

    Attributes:
        server_s: the server's processor time.
        driver_s: this process's.
    """

    wall_s: float = 0.0
    server_s: float = 0.0
    driver_s: float = 0.0

    @property
    def driver_busy(self) -> float:
        """Near 1, it is the driver that is being measured."""
        return self.driver_s / self.wall_s


class Server:
    """A running server: one process, or one with workers.

    Attributes:
        port: where it listens, on 127.0.0.1.
    """

    def __init__(
        self,
        name: str,
        process: subprocess.Popen[bytes],
        port: int,
        *,
        cores: Collection[int],
        profiler: Profiler | None = None,
    ) -> None:
        self.name = name
        self.port = port
        self._process = process
        self._profiler = profiler
        children = [path.read_text() for path in Path(f"/proc/{process.pid}/task").glob("*/children")]
        self._pids = [process.pid, *map(int, " ".join(children).split())]
        self._kernel_pids = _softirq_threads(cores)

    def cpu_s(self) -> float:
        """User and system time of the server so far, all threads, those that ended included; and of the kernel's
        threads that do on its cores what many sends at once leave to them.

        The kernel's CPU clock of another process, to the nanosecond; ``/proc/PID/stat`` counts in steps of 10 ms.
        """
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in (*self._pids, *self._kernel_pids))

    @contextlib.contextmanager
    def metering(self) -> Iterator[Spent]:
        """Tell what happens in this block from all else: what it costs and, when that was asked for, its profile."""
        with self._profiler.watching(self._pids[-1]) if self._profiler else contextlib.nullcontext():
            spent = Spent()
            server, driver, start = self.cpu_s(), time.process_time(), time.perf_counter()
            yield spent
            spent.wall_s = time.perf_counter() - start
            spent.driver_s = time.process_time() - driver
            spent.server_s = self.cpu_s() - server

    def memory_kb(self) -> tuple[int, int]:
        """Resident and proportional set size, in KiB."""
        text = "".join(Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self._pids)
        found = re.findall(r"^(Rss|Pss):\s+(\d+) kB$", text, re.MULTILINE)
        rss, pss = (sum(int(kb) for name, kb in found if name == wanted) for wanted in ("Rss", "Pss"))
        return rss, pss

    def collect_garbage(self) -> None:
        """Ask a JavaScript peer for a full collection; others would be ended by the signal."""
        self._process.send_signal(signal.SIGUSR2)

    def check(self) -> None:
        """Raises BenchError when the process has ended."""
        if (status := self._process.poll()) is not None:
            raise BenchError(f"{self.name} ended with status {status}")


@contextlib.contextmanager
def running(
    name: str,
    argv: Sequence[str],
    *,
    port: int,
    cores: Collection[int],
    log: Path,
    environment: Mapping[str, str],
    start_s: float = 60.0,
    profiler: Profiler | None = None,
) -> Iterator[Server]:
    """Start ``argv``, wait for its line ``listening on …:PORT``, and stop it at the end.

    Args:
        profiler: what watches it while it is metered.

    Raises:
        BenchError: it ended or said nothing within ``start_s``; the message carries the end of its output.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv,
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
    try:
        _await_listening(name, process, port, log, start_s)
        yield Server(name, process, port, cores=cores, profiler=profiler)
    finally:
        _stop(process)


def _softirq_threads(cores: Collection[int]) -> list[int]:
    """The process ids of ``ksoftirqd`` on these cores; none where they cannot be seen, as in a container."""
    wanted = {f"ksoftirqd/{core}" for core in cores}
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if path.read_text().strip() in wanted:
                found.append(int(path.parent.name))
    return found


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port nobody listens on now, below those that systems give away: no connection is on it before its server is,
    or while that is started again."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket(socket.AF_INET, kind) as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


def _await_listening(
    name: str, process: subprocess.Popen[bytes], port: int, log: Path, start_s: float
) -> None:
    deadline = time.monotonic() + start_s
    while time.monotonic() < deadline:
        said = log.read_text(errors="replace")
        if any(int(found) == port for found in _LISTENING.findall(said)):
            return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    tail = " | ".join(log.read_text(errors="replace").strip().splitlines()[-4:])
    raise BenchError(f"{name} did not start (status {process.poll()}): {tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
