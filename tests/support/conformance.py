"""The gateway's own network code without the gateway above it, for protocol suites to be run against.

::

    python -m tests.support.conformance --port 3000 --ping-interval-ms 300 --ping-timeout-ms 200 [--deflate]

=================  ==================================================================================================
``/engine.io/``    Engine.IO: each message back, text as text and binary as binary
``/socket.io/``    Socket.IO without authentication, namespaces ``/`` and ``/custom``: on connect emits ``auth`` with the
                   CONNECT payload; ``message`` comes back as ``message-back``; ``message-with-ack`` is acknowledged with
                   its own arguments
``/echo``          WebSocket: each message back; up to 16 MiB and 65 536 fragments
=================  ==================================================================================================

``--deflate`` negotiates permessage-deflate with clients that offer it. Off by default, as it is in Node's Engine.IO: its
suite counts on a frame being read before the answer to a later request, and Node inflates in the background.
"""

from __future__ import annotations

import argparse
import signal
import socket as sockets
from collections.abc import Callable
from typing import Any

import trio

from gateway.config import Http
from gateway.delivery.outbox import Outbox
from gateway.delivery.timers import Wheel
from gateway.net.door import Door
from gateway.net.engine import EngineSession, EngineSessions, EngineSettings
from gateway.net.links import Link
from gateway.net.mailboxes import Workers
from gateway.net.multiplexer import Multiplexer
from gateway.net.native import load_native
from gateway.net.polling import EngineEndpoint
from gateway.net.ports import MessageReceiver, Receiver, Refused
from gateway.net.server import Listener, listen
from gateway.net.socketio import Socket, SocketIO, SocketSettings
from gateway.net.websocket import WebSockets
from gateway.wire.http import Request, Response
from gateway.wire.prepared import prepare_binary, prepare_text
from gateway.wire.socketio import Packet, encode_binary_ack, encode_binary_event

NAMESPACES = ("/", "/custom")
CONNECT_S = 1.0  # the suites wait two seconds for a connection that never sends CONNECT to be closed
GREETING_S = 0.01
MESSAGE_BYTES = 1_000_000
ECHO_MESSAGE_BYTES = 16 * 1024 * 1024
ECHO_FRAGMENTS = 65_536
ECHO_OUTBOX_BYTES = 64 * 1024 * 1024


class EngineEcho:
    """Sends each Engine.IO message back."""

    def __init__(self, session: EngineSession) -> None:
        self._outbox = session.outbox

    def message(self, data: str | bytes) -> None:
        self._outbox.put(
            prepare_text(b"4" + data.encode()) if isinstance(data, str) else prepare_binary(data)
        )

    def closed(self, reason: str) -> None:
        pass  # nothing is kept


class SocketEcho:
    """Sends the arguments of each Socket.IO event back.

    The greeting comes in a write of its own: the official suite awaits frames one by one, and Node's ``ws`` hands out all
    frames of one read at once, so that the suite would miss the second (with Node's server too). Nothing overtakes it.
    """

    decode_event = None

    def __init__(self, wheel: Wheel) -> None:
        self._wheel = wheel

    async def admit(self, socket: Socket, auth: dict[str, Any]) -> Callable[[], None]:
        if socket.namespace not in NAMESPACES:
            raise Refused("Invalid namespace")

        def greet() -> None:
            if socket.state is not None:
                socket.state = None
                socket.send(*_event("auth", [auth], socket))

        def welcome() -> None:
            socket.state = greet
            self._wheel.after(GREETING_S, greet)

        return welcome

    def dispatch(self, socket: Socket, packet: Packet) -> None:
        if socket.state is not None:
            socket.state()
        name, *arguments = packet.data
        if name == "message":
            socket.send(*_event("message-back", arguments, socket))
        elif name == "message-with-ack" and packet.id is not None:
            acknowledgement, attachments = encode_binary_ack(packet.id, arguments, namespace=socket.namespace)
            socket.send(acknowledgement, tuple(attachments))

    def gone(self, socket: Socket, reason: str) -> None:
        socket.state = None


def _event(name: str, arguments: list[Any], socket: Socket) -> tuple[bytes, tuple[bytes, ...]]:
    packet, attachments = encode_binary_event(name, arguments, namespace=socket.namespace)
    return packet, tuple(attachments)


class FrameEcho:
    """Sends each WebSocket message back."""

    def __init__(self) -> None:
        self.outbox = Outbox(ECHO_OUTBOX_BYTES, self)
        self._link: Link | None = None

    def attached(self, link: Link) -> None:
        self._link = link
        self.outbox.carrier = link

    def text(self, message: str) -> None:
        self.outbox.put(prepare_text(message.encode()))

    def binary(self, message: bytes) -> None:
        self.outbox.put(prepare_binary(message))

    def lost(self, reason: str) -> None:
        pass  # nothing is kept

    def overflow(self) -> None:
        assert self._link is not None
        self._link.abort("slow consumer")


class EchoEndpoint:
    """``/echo``: WebSockets only."""

    def open(self, request: Request) -> Receiver:
        return FrameEcho()

    async def handle(self, request: Request) -> Response:
        return Response(426, b"", content_type="text/plain", headers=[("Upgrade", "websocket")])


async def nothing_else(request: Request) -> Response:
    return Response(404, b"{}")


class Conformance:
    """The whole server, built by hand."""

    def __init__(self, *, ping_interval_ms: int, ping_timeout_ms: int, deflate: bool) -> None:
        self.wheel = Wheel()
        self.workers = Workers()
        self.multiplexer = Multiplexer(wheel=self.wheel, close_s=2.0, native=load_native())
        self._echo = SocketEcho(self.wheel)
        settings = EngineSettings(
            ping_interval_ms=ping_interval_ms,
            ping_timeout_ms=ping_timeout_ms,
            message_bytes=MESSAGE_BYTES,
            outbox_bytes=ECHO_OUTBOX_BYTES,
        )

        def endpoint(accept: Callable[[EngineSession], MessageReceiver]) -> EngineEndpoint:
            return EngineEndpoint(EngineSessions(settings=settings, wheel=self.wheel, accept=accept))

        self.door = Door(
            route=nothing_else,
            endpoints={
                "/engine.io/": endpoint(EngineEcho),
                "/socket.io/": endpoint(self._socket_io),
                "/echo": EchoEndpoint(),
            },
            websockets=WebSockets(
                multiplexer=self.multiplexer,
                wheel=self.wheel,
                message_bytes=ECHO_MESSAGE_BYTES,
                fragments=ECHO_FRAGMENTS,
                close_s=2.0,
                write_s=30.0,
                deflate=deflate,
            ),
            web=None,
            http=Http(),
            wheel=self.wheel,
            endpoint_bytes=MESSAGE_BYTES,
        )

    def _socket_io(self, session: EngineSession) -> SocketIO:
        return SocketIO(
            session,
            application=self._echo,
            settings=SocketSettings(connect_s=CONNECT_S, inbox=64, max_attachments=64),
            wheel=self.wheel,
            workers=self.workers,
        )

    async def run(self, listeners: list[sockets.socket]) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.multiplexer.run)
            await nursery.start(self.workers.run)
            nursery.start_soon(self.wheel.run)
            nursery.start_soon(self.door.run)
            listener = Listener(door=self.door, connections=nursery, tls=None, most=10_000)
            for sock in listeners:
                nursery.start_soon(listener.run, sock)


async def serve(arguments: argparse.Namespace) -> None:
    listeners = listen("127.0.0.1", arguments.port)
    server = Conformance(
        ping_interval_ms=arguments.ping_interval_ms,
        ping_timeout_ms=arguments.ping_timeout_ms,
        deflate=arguments.deflate,
    )
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.run, listeners)
            print(f"listening on http://127.0.0.1:{listeners[0].getsockname()[1]}", flush=True)
            await anext(signals)
            nursery.cancel_scope.cancel()
    for sock in listeners:
        sock.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--ping-interval-ms", type=int, default=300)
    parser.add_argument("--ping-timeout-ms", type=int, default=200)
    parser.add_argument("--deflate", action="store_true")
    trio.run(serve, parser.parse_args())


if __name__ == "__main__":
    main()
