"""Run an ASGI application on uvicorn, as its documentation says to, and say when it listens."""

from __future__ import annotations

import socket
from typing import Any

import uvicorn


class _Announcing(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        print(f"listening on http://{self.config.host}:{self.config.port}", flush=True)


def serve(app: Any, port: int) -> None:
    """Serve until told to stop: one worker, its fast parser and event loop, no access log."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        http="httptools",
        loop="uvloop",
        ws_per_message_deflate=False,
        access_log=False,
        log_level="warning",
        backlog=4096,
    )
    _Announcing(config).run()
