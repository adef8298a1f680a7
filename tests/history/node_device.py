"""Node's ``socket.io-client`` as it is published, in a process of its own, beside the devices on Trio."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from typing import Any

import trio

from tests.history.device import BACK_S, OPEN_S, Diary
from tests.history.line import Line
from tests.support.devices import Transports
from tests.support.node import SCRIPT, node_modules

PIECE = 65_536


class NodeDevice:
    """One socket that reconnects by itself, and by its app's word when the server would not have it."""

    def __init__(self, *, line: Line, token: str, diary: Diary, transports: Transports) -> None:
        self.diary = diary
        self._line = line
        self._token = token
        self._transports = transports

    async def run(self, nursery: trio.Nursery) -> None:
        """Live until it is cancelled."""
        command = ["node", str(SCRIPT), str(await trio.to_thread.run_sync(node_modules))]
        node = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert node.stdout is not None
            await self._tell(
                node,
                do="connect",
                url=self._line.url,
                namespace="/",
                options={
                    "transports": list(self._transports),
                    "auth": {"token": self._token},
                    "timeout": OPEN_S * 1000,
                    "reconnection": True,
                    "reconnectionDelay": BACK_S[0] * 1000,
                    "reconnectionDelayMax": BACK_S[1] * 1000,
                },
            )
            async for line in _lines(node.stdout):
                await self._happened(node, json.loads(line), nursery)
        finally:
            node.kill()
            with trio.CancelScope(shield=True):  # a killed process has ended within moments
                await node.wait()
                for pipe in (node.stdin, node.stdout):
                    assert pipe is not None
                    await trio.aclose_forcefully(pipe)

    async def _happened(self, node: trio.Process, report: dict[str, Any], nursery: trio.Nursery) -> None:
        match report["is"]:
            case "connected":
                self.diary.welcome(nursery, recovered=report["recovered"])
            case "event":
                self.diary.note(report["event"], report["arguments"])
            case "disconnected" | "refused":
                self.diary.connected = False
                if not report["active"]:
                    await trio.sleep(BACK_S[1])
                    await self._tell(node, do="again")

    async def _tell(self, node: trio.Process, **command: Any) -> None:
        assert node.stdin is not None
        await node.stdin.send_all(json.dumps({"device": 1, **command}).encode() + b"\n")


async def _lines(stream: trio.abc.ReceiveStream) -> AsyncIterator[bytes]:
    rest = b""
    while data := await stream.receive_some(PIECE):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line
