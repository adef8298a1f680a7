"""Socket.IO clients without a network, and an application that does as they say."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import trio

from gateway.delivery.timers import Wheel
from gateway.errors import Unavailable
from gateway.net.engine import EngineSession, EngineSessions, EngineSettings, State
from gateway.net.mailboxes import Workers
from gateway.net.ports import Refused
from gateway.net.socketio import Socket, SocketIO, SocketSettings
from gateway.wire.socketio import Packet
from tests.net.fakes import settle

CONNECT_S = 45.0
INBOX = 8


class Application:
    """An application that lets in whoever does not say otherwise in ``auth``.

    CONNECT with ``{"wait": s}`` is decided after that time, ``{"refuse": message}`` refused, ``{"away": true}`` cannot be
    decided now, ``{"raise": true}`` is a bug.
    Event ``wait`` with a number of seconds waits, ``raise`` and ``raise-later`` are bugs, ``leave`` disconnects the client.
    """

    decode_event = None

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.gone_: list[tuple[str, str]] = []
        self.broken = False

    async def admit(self, socket: Socket, auth: dict[str, Any]) -> Callable[[], None]:
        await trio.sleep(auth.get("wait", 0))
        if "refuse" in auth:
            raise Refused(auth["refuse"])
        if "away" in auth:
            raise Unavailable("The store cannot be reached.")
        if "raise" in auth:
            raise RuntimeError("admit")
        return lambda: socket.send(b'2["welcome"]' if socket.namespace == "/" else b'2/chat,["welcome"]')

    def dispatch(self, socket: Socket, packet: Packet) -> Coroutine[Any, Any, None] | None:
        name, *arguments = packet.data
        if name == "wait":
            return self._wait(arguments[0])
        if name == "raise-later":
            return self._raise()
        if name == "raise":
            raise RuntimeError("dispatch")
        self.events.append(packet.data)
        if name == "leave":
            socket.disconnect()
        return None

    async def _wait(self, seconds: float) -> None:
        await trio.sleep(seconds)
        self.events.append(["wait", seconds])

    async def _raise(self) -> None:
        await trio.sleep(1)
        raise RuntimeError("dispatch")

    def gone(self, socket: Socket, reason: str) -> None:
        self.gone_.append((socket.namespace, reason))
        if self.broken:
            raise RuntimeError("gone")


class Client:
    """One client, heard and spoken to in Engine.IO packets."""

    def __init__(self, sessions: EngineSessions) -> None:
        self.session = sessions.open(State.POLLING)
        self.session.outbox.take()  # the open packet

    def send(self, *messages: str | bytes) -> None:
        for message in messages:
            if isinstance(message, bytes):
                self.session.binary(message)
            else:
                self.session.text("4" + message)

    def received(self) -> list[str]:
        """The packets that wait for the client; ``sid`` is left out of CONNECT answers."""
        packets = [item.packet.decode() for item in self.session.outbox.take()]
        self.session.outbox.size = 0
        return [_without_sid(packet) for packet in packets]

    @property
    def lives(self) -> bool:
        return self.session.state is not State.CLOSED


def _without_sid(packet: str) -> str:
    head, brace, rest = packet.partition("{")
    if not head.startswith("40"):
        return packet
    assert set(msgspec.json.decode(brace + rest)) == {"sid"}
    return head


def sessions_of(wheel: Wheel, workers: Workers, application: Application) -> EngineSessions:
    def accept(engine: EngineSession) -> SocketIO:
        return SocketIO(
            engine,
            application=application,
            settings=SocketSettings(connect_s=CONNECT_S, inbox=INBOX, max_attachments=2),
            wheel=wheel,
            workers=workers,
        )

    settings = EngineSettings(
        ping_interval_ms=10_000_000, ping_timeout_ms=1_000, message_bytes=10_000, outbox_bytes=100_000
    )
    return EngineSessions(settings=settings, wheel=wheel, accept=accept)


async def connected(client: Client, *, namespace: str = "/") -> Client:
    client.send("0" if namespace == "/" else f"0{namespace},")
    await settle()
    assert len(client.received()) == 2
    return client
