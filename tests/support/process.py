"""The real gateway in a process of its own: started, watched line by line, killed, started again, and always ended."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench.server import free_port

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0  # a first start on a loaded machine: imports, schema, key generation

# The tests of one file share a server and send much faster than people do.
UNLIMITED = {
    action: {"per_s": 1e6, "burst": 1_000_000} for action in ("send_message", "join_room", "typing", "search")
}


@dataclass(frozen=True)
class Program:
    """What is run.

    Attributes:
        command: what follows the Python interpreter.
        folder: where it finds its modules.
    """

    command: Sequence[str]
    folder: Path = ROOT


GATEWAY = Program(("-m", "gateway"))


class Process:
    """A child whose output is read as it comes, so that it can never block on a full pipe.

    Args:
        command: what follows the Python interpreter: ``["-m", "gateway", "serve"]``.
        folder: where it finds its modules.
    """

    def __init__(
        self, command: Sequence[str], *, folder: Path = ROOT, environ: Mapping[str, str] | None = None
    ) -> None:
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
        self._child = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env={**inherited, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, name="output of the server")
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def wait_for_line(self, pattern: str, *, within_s: float = START_S) -> re.Match[str]:
        """The first line that ``pattern`` is found in, printed already or to come.

        Raises:
            AssertionError: the child ended or the time passed without it; tells everything it printed.
        """
        deadline = time.monotonic() + within_s
        looked_at = 0
        with self._changed:
            while True:
                for line in self.lines[looked_at:]:
                    if match := re.search(pattern, line):
                        return match
                looked_at = len(self.lines)
                remaining = deadline - time.monotonic()
                if self._ended or remaining <= 0:
                    why = "it ended" if self._ended else f"{within_s} s passed"
                    raise AssertionError(f"no line with {pattern!r}: {why}. It printed:\n{self.output}")
                self._changed.wait(remaining)

    def signal(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    def wait(self, *, within_s: float) -> int:
        """The exit code.

        Raises:
            AssertionError: it was still running; it has been killed.
        """
        try:
            code = self._child.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running after {within_s} s. It printed:\n{self.output}") from None
        self._finish()
        return code

    def kill(self) -> None:
        """End it as a power cut would; nothing to do when it has ended."""
        self._child.kill()
        self._child.wait()
        self._finish()

    def _finish(self) -> None:
        self._reader.join()
        if self._child.stdout is not None:
            self._child.stdout.close()

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class TenantKeys(msgspec.Struct, frozen=True, rename="camel"):
    """What ``gateway tenant create --json`` prints."""

    id: str
    api_key: str
    webhook_secret: str


class Gateway:
    """The gateway over one data folder. It may be started, ended and started again; the port stays the same.

    Args:
        data: its data folder.
        settings: its configuration file: keys, and sections of them.

    Attributes:
        program: what the next start runs in place of the gateway itself.
    """

    def __init__(
        self, data: Path, *, settings: Mapping[str, Any] | None = None, program: Program = GATEWAY
    ) -> None:
        self.data = data
        self.program = program
        self.port = free_port()
        self.url = ""
        self._settings = {"limits": UNLIMITED, **(settings or {})}
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        assert self._process is not None, "not started"
        return self._process

    def start(self, *arguments: str) -> Process:
        """Start it and wait until it says that it listens."""
        listening = ("--host", "127.0.0.1", "--port", str(self.port))
        self._process = self._run("serve", *listening, *arguments)
        try:
            self.url = self._process.wait_for_line(r"listening on (https?://\S+)")[1].rstrip("/")
        except BaseException:
            self._process.kill()
            raise
        return self._process

    def migrate(self) -> str:
        """What ``gateway migrate`` says, whether the server runs or not."""
        process = self._run("migrate")
        code = process.wait(within_s=START_S)
        assert code == 0, process.output
        return process.output

    def _run(self, command: str, *arguments: str) -> Process:
        self.data.parent.mkdir(parents=True, exist_ok=True)
        file = self.data.with_suffix(".toml")
        file.write_text(toml(self._settings), encoding="utf-8")
        where = ("--config", str(file), "--data", str(self.data))
        return Process([*self.program.command, command, *where, *arguments], folder=self.program.folder)

    def stop(self, number: signal.Signals = signal.SIGTERM, *, within_s: float = 30.0) -> int:
        """Ask it to end in order; its exit code."""
        self.process.signal(number)
        return self.process.wait(within_s=within_s)

    def kill(self) -> None:
        """kill -9; nothing to do when it never started or has ended."""
        if self._process is not None:
            self._process.kill()

    def create_tenant(self, name: str = "test") -> TenantKeys:
        """By the operator's own command, whether the server runs or not."""
        command = [
            sys.executable,
            "-m",
            "gateway",
            "tenant",
            "create",
            name,
            "--json",
            "--data",
            str(self.data),
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=START_S, check=False)
        assert done.returncode == 0, done.stderr
        return msgspec.json.decode(done.stdout, type=TenantKeys)


def toml(settings: Mapping[str, Any], prefix: str = "") -> str:
    """Sections of plain values as TOML; a JSON scalar is a TOML scalar."""
    plain = [
        f"{name} = {json.dumps(value)}" for name, value in settings.items() if not isinstance(value, Mapping)
    ]
    tables = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            path = f"{prefix}.{name}".strip(".")
            tables.append(f"[{path}]\n{toml(value, path)}")
    return "\n".join([*plain, *tables]) + "\n"
