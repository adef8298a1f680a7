"""An ASGI server in miniature, which does to its application what Hypercorn does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

import trio
from quart_trio import QuartTrio

from gateway.errors import GatewayError, NotFound


class NoFiles:
    """A site's files, when there are none.

    Attributes:
        error: what is said to who asks for one.
    """

    def __init__(self) -> None:
        self.error: GatewayError = NotFound("There is no such file.")

    async def receive(self, upload_id: str, chunks: Any, **_: Any) -> None:
        raise NotFound("There is no such upload.")

    async def open(self, upload_id: str, **_: Any) -> Any:
        raise self.error

    def read(self, file: Any, *, begin: int, end: int) -> Any:
        raise AssertionError("nothing can be open")


@dataclass
class Answer:
    """What the application sent.

    Attributes:
        recycled: the server got to the end of what it does after the last event.
        unread: the pieces of the body that the application had not taken when its last event came.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    recycled: bool = False
    unread: int = 0


async def ask(
    app: QuartTrio,
    method: str,
    path: str,
    *,
    query: bytes = b"",
    headers: Sequence[tuple[bytes, bytes]] = (),
    body: Sequence[bytes] | None = (),
    scheme: str = "http",
    http_version: str = "1.1",
) -> Answer:
    """One exchange.

    Args:
        body: the pieces in which it arrives; None for a client that declares one and never sends it.
    """
    answer = Answer()
    put, events = trio.open_memory_channel[dict[str, Any]](inf)
    for piece in body or ():
        put.send_nowait({"type": "http.request", "body": piece, "more_body": True})
    if body is not None:
        put.send_nowait({"type": "http.request", "body": b"", "more_body": False})

    async def send(event: Any) -> None:
        await trio.lowlevel.checkpoint()
        if event["type"] == "http.response.start":
            answer.status = event["status"]
            answer.headers = {name.decode().lower(): value.decode() for name, value in event["headers"]}
            return
        answer.body += event["body"]
        if not event["more_body"]:
            # As Hypercorn: first tell the application, then, from inside this very call, recycle the connection.
            answer.unread = events.statistics().current_buffer_used
            await put.send({"type": "http.disconnect"})
            await trio.testing.wait_all_tasks_blocked()
            await trio.lowlevel.checkpoint()
            answer.recycled = True

    scope: Any = {
        "type": "http",
        "asgi": {"spec_version": "2.1", "version": "3.0"},
        "http_version": http_version,
        "method": method,
        "scheme": scheme,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "headers": list(headers),
        "client": ("192.0.2.1", 1),
        "server": ("192.0.2.2", 80),
        "extensions": {},
    }
    await app(scope, events.receive, send)  # type: ignore[arg-type]
    return answer
