"""Engine.IO 4 sessions: handshake, heartbeat, transports and the upgrade between them.

A session outlives its transport: it starts on polling or on a WebSocket, and may move from the first to the second.

::

    open over polling ──▶ POLLING ──2probe──▶ PROBING ──5──▶ WEBSOCKET ◀── open over WebSocket
                             ▲                   │                │
                             └── probe link lost ┘                ▼
                             └──────────── close, ping timeout ─▶ CLOSED

Every ``ping_interval`` after the last pong the server pings; a session without a pong for ``ping_interval +
ping_timeout`` is closed. The outbox belongs to the session, so nothing queued is lost in an upgrade.
"""

from __future__ import annotations

import enum
import math
import secrets
from collections.abc import Callable
from typing import Final

import msgspec
import structlog
import trio

from gateway.delivery.outbox import Outbox
from gateway.delivery.timers import Wheel
from gateway.net.links import Link
from gateway.net.ports import MessageReceiver
from gateway.wire.engineio import open_packet
from gateway.wire.prepared import prepare_text

PING = prepare_text(b"2")
CLOSE = prepare_text(b"1")
NOOP = prepare_text(b"6")

STALL_S = 0.5
"""How late the wheel may be before the process, and not the client, is taken to be at fault."""

log = structlog.get_logger(__name__)


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a session needs to know; times in seconds unless the name says otherwise."""

    ping_interval_ms: int
    ping_timeout_ms: int
    message_bytes: int
    outbox_bytes: int


class State(enum.Enum):
    POLLING = "polling"
    PROBING = "probing"
    WEBSOCKET = "websocket"
    CLOSED = "closed"


class Nobody:
    """Who gets the messages of a session that is over."""

    __slots__ = ()

    def message(self, data: str | bytes) -> None:
        pass

    def closed(self, reason: str) -> None:
        pass


NOBODY: Final = Nobody()


class EngineSession:
    """One client, whatever carries it. It is the receiver of its WebSocket.

    Attributes:
        upper: who gets the messages; set right after construction.
        poll_wakeup: there while a poll waits; set to let it answer (see polling.py).
        poll_paused: there while a POST must wait before its next packet is taken.
        probes: WebSockets open that might take the session over.
        parse_failed: the session was closed for a packet that made no sense.
    """

    __slots__ = (
        "_link",
        "_pong_due",
        "_sessions",
        "_timer",
        "outbox",
        "parse_failed",
        "poll_paused",
        "poll_wakeup",
        "probes",
        "sid",
        "state",
        "upper",
    )

    upper: MessageReceiver

    def __init__(self, sessions: EngineSessions, state: State, *, apart: bool) -> None:
        self.sid = sessions.node_id + secrets.token_urlsafe(15)
        self.state = state
        self.outbox = Outbox(sessions.settings.outbox_bytes, self, apart=apart)
        self.poll_wakeup: trio.Event | None = None
        self.poll_paused: trio.Event | None = None
        self.parse_failed = False
        self.probes = 0
        self._sessions = sessions
        self._link: Link | None = None
        self._pong_due = math.inf
        settings = sessions.settings
        self._timer = sessions.wheel.after(settings.ping_interval_ms / 1000, EngineSession._ping, self)
        upgrades = ("websocket",) if state is State.POLLING else ()
        self.outbox.put(
            prepare_text(
                open_packet(
                    sid=self.sid,
                    upgrades=upgrades,
                    ping_interval_ms=settings.ping_interval_ms,
                    ping_timeout_ms=settings.ping_timeout_ms,
                    max_payload=settings.message_bytes,
                )
            )
        )
        if state is State.POLLING:
            self.outbox.carrier = self

    @property
    def upgraded(self) -> bool:
        """A WebSocket carries the session, and polling is over for it."""
        return self.state is State.WEBSOCKET

    # heartbeat

    def _ping(self) -> None:
        """The timer: send the ping that is due, or end a session whose pong is overdue."""
        now, due = trio.current_time(), self._timer.deadline
        # A loop that stood still must not blame its clients: their pongs may be here and not read yet.
        stalled = now - due > STALL_S
        if self._pong_due == math.inf:
            # Counted from when the ping was due, not from when the wheel came by.
            self._pong_due = (now if stalled else due) + self._sessions.settings.ping_timeout_ms / 1000
            self.outbox.put(PING)
            self._sessions.wheel.move(self._timer, self._pong_due)
        elif stalled:
            self._pong_due = now + STALL_S
            self._sessions.wheel.move(self._timer, self._pong_due)
        else:
            self.close("ping timeout")

    def _pong(self) -> None:
        self._pong_due = math.inf
        settings = self._sessions.settings
        self._sessions.wheel.move(self._timer, trio.current_time() + settings.ping_interval_ms / 1000)

    def expire(self) -> None:
        """Close now if the pong is overdue, however late the wheel is."""
        if trio.current_time() >= self._pong_due:
            self.close("ping timeout")

    # packets from any transport

    def text(self, packet: str) -> None:
        """One text packet, type character first (from the WebSocket, or out of a polling payload)."""
        kind = packet[:1]
        if kind == "4":
            self.upper.message(packet[1:])
        elif kind == "3":
            self._pong()
        elif kind == "1":
            self.close("transport close")
        else:
            # 2 (ping) is the server's in version 4; 5 and 6 have no meaning here.
            self.fail("unexpected_packet")

    def binary(self, message: bytes) -> None:
        self.upper.message(message)

    # transports

    def attached(self, link: Link) -> None:
        """A WebSocket carries the session from now on."""
        self._link = link
        self.state = State.WEBSOCKET
        self.outbox.carrier = link
        if self.poll_wakeup is not None:
            self.poll_wakeup.set()
        if self.poll_paused is not None:
            link.pause()
        if self.outbox.queue:
            link.wake()

    def lost(self, reason: str) -> None:
        """The WebSocket is gone, and the session with it."""
        self._finish(reason)

    def wake(self) -> None:
        """The outbox has something, and polling carries it: let the waiting poll answer."""
        if self.poll_wakeup is not None:
            self.poll_wakeup.set()

    def probed(self) -> None:
        """An upgrade has begun: release the waiting poll, so that the client can stop polling."""
        self.state = State.PROBING
        if self.poll_wakeup is not None:
            self.poll_wakeup.set()

    def unprobed(self) -> None:
        """The upgrade came to nothing; polling goes on."""
        if self.state is State.PROBING:
            self.state = State.POLLING

    def pause(self) -> None:
        """The client has too much in flight: stop reading its WebSocket, let its POST wait."""
        if self._link is not None:
            self._link.pause()
        elif self.poll_paused is None:
            self.poll_paused = trio.Event()

    def resume(self) -> None:
        if self._link is not None:
            self._link.resume()
        if self.poll_paused is not None:
            self.poll_paused.set()
            self.poll_paused = None

    # ending

    def fail(self, reason: str) -> None:
        """End the session because the client broke the protocol."""
        self.parse_failed = True
        self.close(f"parse error: {reason}", code=1002)

    def close(self, reason: str, *, code: int = 1000) -> None:
        """End the session: what is queued is still sent, then the client is told in the transport's own way."""
        if self.state is State.CLOSED:
            return
        link = self._link
        if link is not None and self.state is State.WEBSOCKET:
            if reason == "ping timeout":
                link.abort(reason)  # nobody is there to shake hands
            else:
                link.close(code, reason)
            self._finish(reason)
            return
        # A waiting poll is let go with NOOP when the client itself asked, else with CLOSE; but not behind anything else. The
        # client in JavaScript closes at once and hands on a tick later what came before: it would take that for events of
        # the session it is about to resume, and be told them again. Its next poll finds the session gone.
        if not self.outbox.queue:
            self.outbox.put(NOOP if reason == "transport close" else CLOSE)
        self._finish(reason)

    def overflow(self) -> None:
        """The outbox passed its limit. Deferred, since this is called in the middle of somebody's fan-out."""
        self._sessions.wheel.after(0, self._drop_slow)

    def _drop_slow(self) -> None:
        log.info("slow client disconnected", sid=self.sid, limit_bytes=self.outbox.limit_bytes)
        if self._link is not None:
            self._link.abort("slow consumer")
        self._finish("slow consumer")

    def _finish(self, reason: str) -> None:
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        self._timer.cancel()
        self.outbox.close()
        self.resume()
        self._sessions.forget(self)
        if self.poll_wakeup is not None:
            self.poll_wakeup.set()
        # Link, session and Socket.IO know each other; let go of, they are freed at once. The collector, which comes by
        # seldom (see serving.py), would not look at connections as old as most are for days.
        self._link = None
        upper, self.upper = self.upper, NOBODY
        upper.closed(reason)


class EngineSessions:
    """The sessions of one endpoint, by sid.

    Args:
        node_id: what sids begin with, where several nodes serve one endpoint (see relay.py).
    """

    def __init__(
        self,
        *,
        settings: EngineSettings,
        wheel: Wheel,
        accept: Callable[[EngineSession], MessageReceiver],
        node_id: str = "",
    ) -> None:
        self.node_id = node_id
        self.settings = settings
        self.wheel = wheel
        self._accept = accept
        self._sessions: dict[str, EngineSession] = {}

    def open(self, state: State, *, apart: bool = False) -> EngineSession:
        """A new session on its first transport; the open packet is queued.

        Args:
            apart: see ``Outbox``.
        """
        session = EngineSession(self, state, apart=apart)
        session.upper = self._accept(session)
        self._sessions[session.sid] = session
        return session

    def get(self, sid: str) -> EngineSession | None:
        """A living session; one whose pong is overdue is closed by being looked at."""
        session = self._sessions.get(sid)
        if session is not None:
            session.expire()
            if session.state is State.CLOSED:
                return None
        return session

    def forget(self, session: EngineSession) -> None:
        self._sessions.pop(session.sid, None)

    @property
    def count(self) -> int:
        """Sessions now, those included that nobody has signed in on."""
        return len(self._sessions)

    def all(self) -> list[EngineSession]:
        return list(self._sessions.values())

    def statistics(self) -> dict[str, int]:
        return {"sessions": len(self._sessions)}
