"""A server under measurement: a process of its own, alone on one core, started and stopped by its process id."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from bench.loop import BenchError
from bench.machine import ROOT

_LISTENING = re.compile(r"listening on \S*?:(\d+)")


class Server:
    """A running server.

    Attributes:
        port: where it listens, on 127.0.0.1.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], port: int) -> None:
        self.name = name
        self.port = port
        self._process = process

    def cpu_s(self) -> float:
        """User and system time of the whole process so far, all threads, those that ended included.

        The kernel's CPU clock of another process, to the nanosecond; ``/proc/PID/stat`` counts in steps of 10 ms.
        """
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def memory_kb(self) -> tuple[int, int]:
        """Resident and proportional set size, in KiB."""
        text = Path(f"/proc/{self._process.pid}/smaps_rollup").read_text()
        found = dict(re.findall(r"^(Rss|Pss):\s+(\d+) kB$", text, re.MULTILINE))
        return int(found["Rss"]), int(found["Pss"])

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
) -> Iterator[Server]:
    """Start ``argv``, wait for its line ``listening on …:PORT``, and stop it at the end.

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
        yield Server(name, process, port)
    finally:
        _stop(process)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


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
