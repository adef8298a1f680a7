"""A Socket.IO endpoint as a raw client sees it: polls, posts and frames, spelled out."""

from __future__ import annotations

import concurrent.futures
import json
from collections.abc import Callable
from typing import Any

import msgspec

from tests.support.raw import Answer, Closed, Connection, WebSocket

SEPARATOR = "\x1e"


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """An Engine.IO endpoint to hold to the protocol.

    Attributes:
        path: ``/engine.io/`` or ``/socket.io/``.
        connect: the Socket.IO CONNECT packet that is let in; empty where Engine.IO is all there is.
        ping_interval_ms, ping_timeout_ms: as the server was configured.
    """

    url: str
    path: str
    connect: str = ""
    ping_interval_ms: int = 25_000
    ping_timeout_ms: int = 20_000

    def target(self, transport: str = "polling", sid: str | None = None) -> str:
        return f"{self.path}?EIO=4&transport={transport}" + (f"&sid={sid}" if sid is not None else "")

    def websocket(self, sid: str | None = None) -> WebSocket:
        return WebSocket(Connection(self.url), self.target("websocket", sid))

    def open_websocket(self) -> tuple[WebSocket, dict[str, Any]]:
        """A session over a direct WebSocket, and its handshake object."""
        socket = self.websocket()
        packet = socket.receive()
        assert isinstance(packet, str)
        assert packet[0] == "0", packet
        return socket, json.loads(packet[1:])

    def connected_websocket(self) -> WebSocket:
        """A session over a direct WebSocket that has been let into the main namespace."""
        socket, _ = self.open_websocket()
        socket.send(self.connect)
        answer = next_packet(socket)
        assert answer.startswith('40{"sid":'), answer
        return socket

    def polling(self) -> Polling:
        return Polling(self)

    def ask(self, method: str, target: str, body: bytes | None = None) -> Answer:
        """One request on a connection of its own."""
        connection = Connection(self.url)
        answer = connection.ask(method, target, body=body)
        connection.close()
        return answer


class Polling:
    """A long-polling session: one connection for polls, one for posts, as browsers do."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.polls = Connection(peer.url)
        self.posts = Connection(peer.url)
        opened = self.polls.ask("GET", peer.target())
        assert opened.status == 200, opened
        assert opened.text[0] == "0", opened
        self.handshake: dict[str, Any] = json.loads(opened.text[1:])
        self.sid: str = self.handshake["sid"]
        self.target = peer.target(sid=self.sid)

    def poll(self) -> Answer:
        return self.polls.ask("GET", self.target)

    def post(self, payload: str | bytes) -> Answer:
        body = payload.encode() if isinstance(payload, str) else payload
        return self.posts.ask(
            "POST", self.target, headers={"Content-Type": "text/plain;charset=UTF-8"}, body=body
        )

    def packets(self) -> list[str]:
        """What one poll brings."""
        answer = self.poll()
        assert answer.status == 200, answer
        return answer.text.split(SEPARATOR)

    def is_gone(self) -> bool:
        """Whether the server has forgotten the session; asks on a connection of its own."""
        return self.peer.ask("GET", self.target).status == 400

    def close(self) -> None:
        self.polls.close()
        self.posts.close()


def next_packet(socket: WebSocket) -> str:
    """The next text packet but the server's pings, which are answered on the way."""
    while (packet := socket.receive()) == "2":
        socket.send("3")
    assert isinstance(packet, str), packet
    return packet


def ends(socket: WebSocket) -> bytes:
    """Wait for the server to close; the payload of its close frame, if there was one. Pings are left unanswered."""
    try:
        while True:
            socket.receive()
    except Closed as closed:
        return closed.seen


def in_parallel(*calls: Callable[[], Answer]) -> list[Answer]:
    """Each call in a thread of its own, started in this order; their answers in this order."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]
