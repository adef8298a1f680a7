"""Engine.IO over plain HTTP requests, and the door to its WebSockets: one endpoint, ``/socket.io/``.

GET waits for what is queued, POST brings what the client sends. A session has at most one waiting GET.
"""

from __future__ import annotations

import math
from urllib.parse import parse_qsl

import trio

from gateway.net.engine import CLOSE, NOOP, EngineSession, EngineSessions, State
from gateway.net.ports import Receiver
from gateway.net.probe import Probe
from gateway.wire.engineio import CLOSE as CLOSE_PACKET
from gateway.wire.engineio import ProtocolError, decode_payload, encode_payload
from gateway.wire.http import Request, Response
from gateway.wire.prepared import Prepared, part

ALLOW_ORIGIN = ("Access-Control-Allow-Origin", "*")
PREFLIGHT = (
    ALLOW_ORIGIN,
    ("Access-Control-Allow-Methods", "GET, POST, OPTIONS"),
    ("Access-Control-Allow-Headers", "Content-Type, Authorization"),
    ("Access-Control-Max-Age", "86400"),
)
NO_STORE = (ALLOW_ORIGIN, ("Cache-Control", "no-store"))
TEXT = "text/plain; charset=UTF-8"

PROBED_POLL_S = 0.1
"""How long a poll that comes during an upgrade is held, as Engine.IO's own server does."""

CLOSE_GRACE_S = 0.01

PACKETS_PER_POST = 1_024
"""Bound on the packets of one payload. Clients batch some dozens at the most."""

PYTHON_PACKETS = 16
"""Most packets of an answer to python-engineio, which takes one with more for broken, and disconnects. The others come with
its next poll, which follows at once."""


class EngineEndpoint:
    """Engine.IO 4 at one path: long-polling, direct WebSockets, and the upgrade from the one to the other."""

    def __init__(self, sessions: EngineSessions) -> None:
        self._sessions = sessions

    def open(self, request: Request) -> Receiver | Response:
        query = dict(parse_qsl(request.query))
        if query.get("EIO") != "4":
            return _bad_request(5, "Unsupported protocol version")
        if query.get("transport") != "websocket":
            return _bad_request(0, "Transport unknown")
        sid = query.get("sid")
        if sid is None:
            return self._sessions.open(State.WEBSOCKET, apart=_wants_offsets_apart(request))
        session = self._sessions.get(sid)
        if session is None:
            return _bad_request(1, "Session ID unknown")
        # A session that has moved already is told so after the handshake, where the client can see it.
        return Probe(session, self._sessions.wheel)

    async def handle(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(204, b"", content_type=TEXT, headers=PREFLIGHT)
        query = dict(parse_qsl(request.query))
        if query.get("EIO") != "4":
            return _bad_request(5, "Unsupported protocol version")
        if query.get("transport") != "polling":
            return _bad_request(0 if query.get("transport") != "websocket" else 3, "Transport unknown")
        sid = query.get("sid")
        if sid is None:
            if request.method != "GET":
                return _bad_request(2, "Bad handshake method")
            return _payload(self._sessions.open(State.POLLING, apart=_wants_offsets_apart(request)), request)
        session = self._sessions.get(sid)
        if session is None:
            return _bad_request(1, "Session ID unknown")
        if session.upgraded:
            return _bad_request(3, "The session has been upgraded")
        if request.method == "GET":
            return await self._poll(session, request)
        if request.method == "POST":
            return await self._post(session, request)
        return _bad_request(3, "Bad request")

    async def _poll(self, session: EngineSession, request: Request) -> Response:
        if session.probes:
            # The WebSocket may have brought the end of polling before this request came, and not been read yet; two turns
            # of the loop and it has.
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()
            if session.upgraded:
                return _bad_request(3, "The session has been upgraded")
        if session.poll_wakeup is not None:
            # Two at once: the first is let go with a close packet, this one is refused, the session is over.
            session.close("overlapping polls")
            return _bad_request(3, "Overlapping polls")
        if not session.outbox.queue and session.state in (State.POLLING, State.PROBING):
            # A client that upgrades is let go soon, but not before the packet that completes the upgrade, which is
            # often right behind this request, has had time to arrive: then polling is over.
            late = session.state is State.PROBING
            session.poll_wakeup = trio.Event()
            answered = False
            try:
                with trio.move_on_after(PROBED_POLL_S if late else math.inf):
                    await session.poll_wakeup.wait()
                answered = True
            finally:
                session.poll_wakeup = None
                if not answered:
                    session.close("transport close")  # its client has gone away
            if session.upgraded:
                # What is queued now is the WebSocket's.
                return _bad_request(3, "The session has been upgraded") if late else _answer([NOOP])
        return _payload(session, request)

    async def _post(self, session: EngineSession, request: Request) -> Response:
        if len(request.body) > self._sessions.settings.message_bytes:
            session.close("payload too large")
            return Response(413, b"Payload too large", content_type=TEXT, headers=NO_STORE)
        try:
            packets = decode_payload(request.body, max_packets=PACKETS_PER_POST)
        except ProtocolError as error:
            session.fail(error.reason)
            return _bad_request(3, "Malformed payload")
        for packet in packets:
            if packet.type == CLOSE_PACKET and session.poll_wakeup is None:
                # A poll sent at the same moment over another connection may be read after this; it is to be let go
                # in peace.
                await trio.sleep(CLOSE_GRACE_S)
            if isinstance(packet.data, bytes):
                session.binary(packet.data)
            else:
                session.text(packet.type + packet.data)
            while session.poll_paused is not None:
                await session.poll_paused.wait()
            if session.state is State.CLOSED:
                break
        if session.parse_failed:
            return _bad_request(3, "Malformed packet")
        return Response(200, b"ok", content_type=TEXT, headers=NO_STORE)


def _payload(session: EngineSession, request: Request) -> Response:
    outbox = session.outbox
    items = outbox.take()
    if outbox.apart:
        items = [item.apart for item in items]
    closed, python = session.state is State.CLOSED, _is_python(request)
    if python and not closed:
        items, outbox.queue = part(items, PYTHON_PACKETS)
        outbox.size = sum([len(item.frame) for item in outbox.queue])
    else:
        outbox.size = 0
    if python and items == [CLOSE]:
        # Python's client takes that for the server's last word, and stays away; when its next poll finds the session gone,
        # it comes back as all others do.
        items = [NOOP]
    return _answer(items or [CLOSE if closed and not python else NOOP])


def _answer(items: list[Prepared]) -> Response:
    body = encode_payload([item.packet for item in items])
    return Response(200, body, content_type=TEXT, headers=NO_STORE)


def _wants_offsets_apart(request: Request) -> bool:
    """Whether a second argument of an event might confuse this client's listeners.

    Dart's library hands a listener one list of both, which the published SDK casts to an object, and Python's calls it with
    both. Flutter for the web is a browser, and cannot be told from the clients in JavaScript, which take offsets either way.
    """
    agent = request.headers.get("user-agent", "")
    return agent.startswith(("Dart/", "Mozilla/")) or _is_python(request)


def _is_python(request: Request) -> bool:
    return "python" in request.headers.get("user-agent", "").lower()


def _bad_request(code: int, message: str) -> Response:
    """The shape of Engine.IO's own errors, which its clients know."""
    return Response(400, b'{"code":%d,"message":"%b"}' % (code, message.encode()), headers=NO_STORE)
