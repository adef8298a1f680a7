"""An Engine.IO endpoint in memory: sessions on polling by calling it, sessions on WebSocket by socket pairs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import trio

from gateway.delivery.timers import Wheel
from gateway.net.engine import EngineSession, EngineSessions, EngineSettings
from gateway.net.multiplexer import Multiplexed
from gateway.net.polling import EngineEndpoint
from gateway.wire.http import Request, Response
from tests.net.fakes import Adopter, Peer
from tests.wire.client import masked

PING_INTERVAL_S = 3.0
PING_TIMEOUT_S = 2.0


class Upper:
    """Who gets the messages of an Engine.IO session, and keeps them.

    Attributes:
        on_message: called with each message after it was recorded.
    """

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.reasons: list[str] = []
        self.on_message: Callable[[str | bytes], None] = lambda message: None

    def message(self, data: str | bytes) -> None:
        self.messages.append(data)
        self.on_message(data)

    def closed(self, reason: str) -> None:
        self.reasons.append(reason)


class Engine:
    """One endpoint and everything it has opened."""

    def __init__(self, wheel: Wheel, adopt: Adopter, nursery: trio.Nursery, **settings: Any) -> None:
        self.uppers: dict[str, Upper] = {}
        usual = {
            "ping_interval_ms": int(PING_INTERVAL_S * 1000),
            "ping_timeout_ms": int(PING_TIMEOUT_S * 1000),
            "message_bytes": 10_000,
            "outbox_bytes": 100_000,
        }
        self.sessions = EngineSessions(
            settings=EngineSettings(**(usual | settings)), wheel=wheel, accept=self._accept
        )
        self.endpoint = EngineEndpoint(self.sessions)
        self.headers: dict[str, str] = {}
        self._adopt = adopt
        self._nursery = nursery

    def _accept(self, session: EngineSession) -> Upper:
        upper = self.uppers[session.sid] = Upper()
        return upper

    async def ask(
        self, method: str = "GET", sid: str | None = None, body: bytes = b"", *, transport: str = "polling"
    ) -> Response:
        query = f"EIO=4&transport={transport}" + ("" if sid is None else f"&sid={sid}")
        return await self.endpoint.handle(
            Request(method, "/engine.io/", query=query, headers=self.headers, body=body)
        )

    async def open_polling(self) -> tuple[str, EngineSession, Upper]:
        """A session on polling; its open packet has been fetched."""
        answer = await self.ask()
        assert answer.status == 200
        sid = msgspec.json.decode(answer.body[1:])["sid"]
        session = self.sessions.get(sid)
        assert session is not None
        return sid, session, self.uppers[sid]

    def waiting_poll(self, sid: str) -> Waiting:
        """A poll that is let run beside the test."""
        waiting = Waiting()

        async def poll() -> None:
            with waiting.scope:
                waiting.answer = await self.ask(sid=sid)

        self._nursery.start_soon(poll)
        return waiting

    def open_websocket(
        self, *, buffer_bytes: int | None = None
    ) -> tuple[Peer, Multiplexed, EngineSession, Upper]:
        """A session on a WebSocket of its own; its open packet is on the way."""
        receiver = self.endpoint.open(Request("GET", "/engine.io/", query="EIO=4&transport=websocket"))
        assert isinstance(receiver, EngineSession)
        link, peer = self._adopt(receiver, buffer_bytes=buffer_bytes)
        return peer, link, receiver, self.uppers[receiver.sid]

    def probe(self, sid: str) -> tuple[Peer, Multiplexed]:
        """A WebSocket with the sid of a session that polls."""
        receiver = self.endpoint.open(
            Request("GET", "/engine.io/", query=f"EIO=4&transport=websocket&sid={sid}")
        )
        assert not isinstance(receiver, Response)
        link, peer = self._adopt(receiver)
        return peer, link


class Waiting:
    """A poll in flight.

    Attributes:
        answer: None as long as it waits, and when it was cancelled.
    """

    def __init__(self) -> None:
        self.scope = trio.CancelScope(deadline=math.inf)
        self.answer: Response | None = None

    @property
    def body(self) -> bytes:
        assert self.answer is not None, "the poll still waits"
        assert self.answer.status == 200
        return self.answer.body

    @property
    def status(self) -> int:
        assert self.answer is not None, "the poll still waits"
        return self.answer.status


def packet(text: str) -> bytes:
    """An Engine.IO packet in a client's frame."""
    return masked(0x81, text.encode())
