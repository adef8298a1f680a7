"""The real LiveKit server, started for the tests on ports of this machine alone."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.server import free_port
from tests.support.require import missing

VERSION = "1.13.5"
START_S = 60.0
KEY, SECRET = "testkey", "a secret of the tests, of thirty-two bytes"


def livekit_binary() -> str:
    """``livekit-server``: the one named by ``GATEWAY_TEST_LIVEKIT``, the one in the user's cache, or the system's."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gateway-tests"
    named = os.environ.get("GATEWAY_TEST_LIVEKIT")
    found = (
        named
        or shutil.which(cache / f"livekit-{VERSION}" / "livekit-server")
        or shutil.which("livekit-server")
    )
    if found is None:
        missing(
            "livekit-server",
            get=f"go install github.com/livekit/livekit-server/cmd/server@v{VERSION} (Go 1.26), and name what it makes"
            " in GATEWAY_TEST_LIVEKIT.",
        )
    return found


class LiveKitServer:
    """
    Attributes:
        url: where it listens, over HTTP and WebSocket.
        lines: what it logged.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.lines: list[str] = []
        self._changed = threading.Condition()

    @property
    def settings(self) -> dict[str, str]:
        """The ``[livekit]`` of a gateway that uses it."""
        return {"url": self.url, "public_url": self.url, "api_key": KEY, "api_secret": SECRET}

    def note(self, line: str) -> None:
        with self._changed:
            self.lines.append(line)
            self._changed.notify_all()

    def webhooks(self, room: str, *, until: str) -> list[dict[str, Any]]:
        """What it has reported of a room, once it has reported this: ``{"event", "room", "status", ...}`` each."""
        found: list[dict[str, Any]] = []

        def complete() -> bool:
            found[:] = [
                report
                for line in self.lines
                if "webhook" in line
                and (report := json.loads(line)).get("room") == room
                and "event" in report
            ]
            return any(report["event"] == until for report in found)

        with self._changed:
            assert self._changed.wait_for(complete, START_S), found
        return found


@contextmanager
def start_livekit(*, webhooks_to: str) -> Iterator[LiveKitServer]:
    """A LiveKit with one room service, one port of each kind for all media, and no use of any server outside.

    Args:
        webhooks_to: where it reports who comes and goes.
    """
    binary, port = livekit_binary(), free_port()
    config: dict[str, Any] = {
        "port": port,
        "bind_addresses": ["127.0.0.1"],
        "keys": {KEY: SECRET},
        "rtc": {
            "udp_port": free_port(socket.SOCK_DGRAM),
            "tcp_port": free_port(),
            "node_ip": "127.0.0.1",
            "use_external_ip": False,
            "enable_loopback_candidate": True,
            # Clients are told of public STUN servers when none is named.
            "stun_servers": ["127.0.0.1:3478"],
        },
        "room": {"auto_create": False},
        "webhook": {"api_key": KEY, "urls": [webhooks_to]},
        "logging": {"level": "info", "json": True},
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LIVEKIT_")}
    child = subprocess.Popen(
        [binary, "--config-body", json.dumps(config)],
        env=inherited,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    server = LiveKitServer(f"ws://127.0.0.1:{port}")
    listens = threading.Event()
    reader = threading.Thread(target=_read, args=(child, server, listens), name="output of LiveKit")
    reader.start()
    try:
        assert listens.wait(START_S), "".join(server.lines)[-3_000:]
        _wait_for(port)
        yield server
    finally:
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(5)
        child.kill()
        child.wait()
        reader.join()


def _read(child: subprocess.Popen[str], server: LiveKitServer, listens: threading.Event) -> None:
    assert child.stdout is not None
    with child.stdout:
        for line in child.stdout:
            server.note(line)
            if "starting LiveKit server" in line:
                listens.set()


def _wait_for(port: int) -> None:
    """It says so a moment before it listens."""
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        threading.Event().wait(0.05)
    raise AssertionError(f"LiveKit does not listen on {port}")
