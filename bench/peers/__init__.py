"""The servers beside which the gateway's figures stand, and how each is started.

Each is one small program here, written as its own documentation would have it and bare: no tokens (but for the FastAPI
ones), no limits, no state beyond the room, so that a peer is never charged for work the comparison does not need.
JavaScript packages are pinned in ``package.json`` and installed on first use into a cache outside the repository
(``$GATEWAY_BENCH_CACHE``, else ``$XDG_CACHE_HOME/gateway-bench``, else ``~/.cache/gateway-bench``); Python ones come with
the extra ``bench``.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.loop import BenchError

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Peer:
    """One server to compare with.

    Attributes:
        kind: what runs it.
        program: its file (JavaScript) or module (Python) in this package.
        packages: what it is made of, first the one to name a version of.
        speaks: what its sockets speak; ``websocket`` is a bare WebSocket that echoes what it gets.
    """

    name: str
    kind: Literal["node", "bun", "python"]
    program: str
    packages: tuple[str, ...]
    speaks: Literal["socketio", "websocket", "http"]


PEERS = {
    peer.name: peer
    for peer in (
        Peer("socketio-node", "node", "socketio_node.mjs", ("socket.io",), "socketio"),
        Peer("socketio-node-redis", "node", "socketio_node_redis.mjs", ("socket.io", "redis"), "socketio"),
        Peer("socketio-node-recovery", "node", "socketio_node_recovery.mjs", ("socket.io",), "socketio"),
        Peer("ws-node", "node", "ws_node.mjs", ("ws",), "websocket"),
        Peer("bun", "bun", "bun.mjs", ("bun",), "websocket"),
        Peer("socketio-python", "python", "socketio_python", ("socketio", "uvicorn", "uvloop"), "socketio"),
        Peer("fastapi", "python", "fastapi_post", ("fastapi", "uvicorn", "uvloop"), "http"),
        Peer("fastapi-threads", "python", "fastapi_post", ("fastapi", "uvicorn", "uvloop"), "http"),
        Peer("fastapi-stub", "python", "fastapi_post", ("fastapi", "uvicorn", "uvloop"), "http"),
        Peer("fastapi-sqlalchemy", "python", "fastapi_rooms", ("fastapi", "sqlalchemy", "uvicorn"), "http"),
    )
}


def command(peer: Peer) -> list[str]:
    """The start of the command line that runs ``peer``; its port and arguments follow.

    Raises:
        BenchError: what it needs is not here and cannot be installed.
    """
    if peer.kind == "python":
        missing = [package for package in peer.packages if importlib.util.find_spec(package) is None]
        if missing:
            raise BenchError(f"{', '.join(missing)} not installed: pip install -e '.[bench]'")
        return [sys.executable, "-m", f"bench.peers.{peer.program}"]
    program = str(_installed() / peer.program)
    if peer.kind == "bun":
        return [str(_installed() / "node_modules/bun/bin/bun.exe"), program]
    return ["node", "--expose-gc", program]


def version(peer: Peer) -> str:
    """Name and version of what the peer is made of."""
    if peer.kind == "python":
        distributions = {"socketio": "python-socketio"}
        names = [distributions.get(package, package) for package in peer.packages]
        return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    package = peer.packages[0]
    pinned = json.loads((_HERE / "package.json").read_text())["dependencies"][package]
    if peer.kind == "bun":
        return f"bun {pinned}"
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return f"{package} {pinned}, node {node.removeprefix('v')}"


def _installed() -> Path:
    """The folder with the JavaScript peers and their packages, made on first use.

    Raises:
        BenchError: npm is missing or failed.
    """
    wanted = (_HERE / "package.json").read_bytes()
    folder = _cache() / hashlib.sha256(wanted).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    for file in (*_HERE.glob("*.mjs"), _HERE / "package.json"):
        shutil.copy(file, folder)
    # npm writes this file last, so it says that an earlier install came to its end.
    if not (folder / "node_modules/.package-lock.json").exists():
        _run_npm(folder)
    return folder


def _run_npm(folder: Path) -> None:
    argv = ["npm", "install", "--no-audit", "--no-fund", "--silent"]
    try:
        subprocess.run(argv, cwd=folder, check=True, capture_output=True, text=True, timeout=300)
    except FileNotFoundError:
        raise BenchError("npm is not installed") from None
    except subprocess.TimeoutExpired:
        raise BenchError("npm install did not end within 300 s") from None
    except subprocess.CalledProcessError as error:
        raise BenchError(f"npm install failed: {error.stderr.strip()[-300:]}") from None


def _cache() -> Path:
    if named := os.environ.get("GATEWAY_BENCH_CACHE"):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "gateway-bench"
