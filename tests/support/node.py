"""Devices by Node's ``socket.io-client``, the client of the published SDKs: one Node process, any number of sockets."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

from tests.support.devices import WEBSOCKET, Refused, Transports
from tests.support.inbox import PATIENCE_S, Inbox
from tests.support.require import missing

SCRIPT = Path(__file__).with_name("socket_io_client.mjs")
PACKAGE = "socket.io-client@4.8"


def node_modules(package: str = PACKAGE) -> Path:
    """A folder with this package in its ``node_modules``: the one named by ``GATEWAY_TEST_NODE_MODULES`` (itself a
    ``node_modules``), or one in the user's cache, filled by npm the first time."""
    if shutil.which("node") is None:
        missing("Node", get="Install Node 18 or later, or your system's nodejs package.")
    if named := os.environ.get("GATEWAY_TEST_NODE_MODULES"):
        return Path(named).resolve().parent
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gateway-tests"
    home = cache / package
    if not home.exists():
        if shutil.which("npm") is None:
            missing(
                "npm", get=f"Install npm, or name a node_modules with {package} in GATEWAY_TEST_NODE_MODULES."
            )
        cache.mkdir(parents=True, exist_ok=True)
        # Installed aside and moved into place: test runs side by side must not see half of it.
        with tempfile.TemporaryDirectory(dir=cache) as aside:
            install = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", aside, package]
            done = subprocess.run(install, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode != 0:
                missing(package, get=f"npm could not install it: {done.stderr.strip()[-400:]}")
            try:
                os.rename(aside, home)
            except OSError:
                assert home.exists()  # another run was first
            else:
                Path(aside).mkdir()
    return home


class NodeDevice:
    """One socket in the Node process."""

    def __init__(self, clients: NodeClients, number: int) -> None:
        self.inbox = Inbox()
        self.transport = ""
        self.answers = Inbox()
        self._clients = clients
        self._number = number
        self._calls = itertools.count(1)

    def emit(self, event: str, *arguments: Any) -> None:
        self._clients.tell({"device": self._number, "do": "emit", "event": event, "arguments": arguments})

    def call(self, event: str, *arguments: Any) -> list[Any]:
        call = next(self._calls)
        self._clients.tell(
            {"device": self._number, "do": "call", "event": event, "arguments": arguments, "call": call}
        )
        answer: list[Any] = self.answers.take("ack", call=call)["arguments"]
        return answer

    def close(self) -> None:
        self._clients.tell({"device": self._number, "do": "close"})
        self.answers.take("closed")

    def happened(self, report: dict[str, Any]) -> None:
        """Take note of one line of the Node process."""
        match report["is"]:
            case "event":
                self.inbox.put(report["event"], report["arguments"])
            case "transport":
                self.transport = report["name"]
                self.inbox.note("@transport", report)
            case "disconnected" | "ping":
                self.inbox.note(f"@{report['is']}", report)
            case "connected" | "refused":
                self.inbox.note(f"@{report['is']}", report)
                self.answers.note("outcome", report)
            case other:
                self.answers.note(other, report)


class NodeClients:
    """Node's socket.io-client. Closing it closes every device and ends the process."""

    def __init__(self) -> None:
        self._devices: dict[int, NodeDevice] = {}
        self._writing = threading.Lock()
        self._node = subprocess.Popen(
            ["node", str(SCRIPT), str(node_modules())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._reader = threading.Thread(target=self._read, name="reports of node")
        self._reader.start()

    def connect(
        self,
        url: str,
        *,
        auth: Any = None,
        transports: Transports = WEBSOCKET,
        namespace: str = "/",
        ca: str | None = None,
        reconnection: bool = False,
    ) -> NodeDevice:
        number = len(self._devices) + 1
        device = self._devices[number] = NodeDevice(self, number)
        options = {
            "transports": list(transports),
            "reconnection": reconnection,
            "reconnectionDelay": 100,
            "reconnectionDelayMax": 500,
        }
        if auth is not None:
            options["auth"] = auth
        self.tell(
            {
                "device": number,
                "do": "connect",
                "url": url,
                "namespace": namespace,
                "ca": ca,
                "options": options,
            }
        )
        first = device.answers.take("outcome")
        if first["is"] == "refused":
            device.close()
            raise Refused({"message": first["message"], **({"data": first["data"]} if first["data"] else {})})
        return device

    def tell(self, command: dict[str, Any]) -> None:
        assert self._node.stdin is not None
        with self._writing:
            self._node.stdin.write(json.dumps(command) + "\n")
            self._node.stdin.flush()

    def close(self) -> None:
        assert self._node.stdin is not None
        assert self._node.stdout is not None
        for device in self._devices.values():
            device.close()
        self._node.stdin.close()
        try:
            self._node.wait(PATIENCE_S)
        finally:
            self._node.kill()
            self._node.wait()
            self._reader.join()
            self._node.stdout.close()

    def _read(self) -> None:
        assert self._node.stdout is not None
        for line in self._node.stdout:
            report = json.loads(line)
            self._devices[report["device"]].happened(report)
