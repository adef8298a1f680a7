"""Socket.IO 5 on an Engine.IO session: namespaces, CONNECT and its answer, events in order, acks, DISCONNECT."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
import structlog

from gateway.delivery.timers import Timer, Wheel
from gateway.net.engine import EngineSession
from gateway.net.mailboxes import Mailbox, Workers
from gateway.net.ports import Refused, SocketApplication
from gateway.wire.connection import Close, Connection
from gateway.wire.prepared import prepare_binary, prepare_text
from gateway.wire.socketio import (
    CONNECT,
    DISCONNECT,
    EVENT,
    Packet,
    encode_ack,
    encode_connect,
    encode_connect_error,
    encode_disconnect,
)

log = structlog.get_logger(__name__)


class SocketSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``connect_s``: how long a client may take to CONNECT; ``inbox``: its events that may wait; ``max_attachments``: most
    binary attachments of a packet (0: the application takes none)."""

    connect_s: float
    inbox: int
    max_attachments: int


class Socket:
    """One client in one namespace, as the application sees it.

    Attributes:
        sid: the public id of this socket, not that of the transport.
        state: the application's own record of the client.
        admitted: the CONNECT answer has been queued.
    """

    __slots__ = ("_client", "admitted", "namespace", "sid", "state")

    def __init__(self, client: SocketIO, namespace: str) -> None:
        self._client = client
        self.namespace = namespace
        self.sid = secrets.token_urlsafe(15)
        self.state: Any = None
        self.admitted = False

    @property
    def engine(self) -> EngineSession:
        return self._client.engine

    def send(self, packet: bytes, attachments: tuple[bytes, ...] = ()) -> None:
        """Queue an encoded Socket.IO packet and its attachments."""
        outbox = self._client.engine.outbox
        outbox.put(prepare_text(b"4" + packet))
        for data in attachments:
            outbox.put(prepare_binary(data))

    def ack(self, ack_id: int) -> None:
        """Acknowledge an event, without arguments."""
        self.send(encode_ack(ack_id, namespace=self.namespace))

    def disconnect(self) -> None:
        """Leave the namespace for the client: it is told, and does not come back by itself."""
        self._client.end(self, "server namespace disconnect", tell=True)


class SocketIO:
    """The Socket.IO side of one client. The receiver of its Engine.IO session.

    CONNECT and events run in the order they came. An event that can be answered at once is, unless earlier ones wait.
    """

    __slots__ = (
        "_application",
        "_connect_timer",
        "_connection",
        "_mailbox",
        "_others",
        "_root",
        "_settings",
        "_workers",
        "engine",
    )

    def __init__(
        self,
        engine: EngineSession,
        *,
        application: SocketApplication,
        settings: SocketSettings,
        wheel: Wheel,
        workers: Workers,
    ) -> None:
        self.engine = engine
        self._application = application
        self._settings = settings
        self._workers = workers
        self._connection = Connection(max_attachments=settings.max_attachments)
        self._mailbox: Mailbox | None = None
        self._root: Socket | None = None
        self._others: dict[str, Socket] | None = None  # made for clients that use further namespaces
        self._connect_timer: Timer | None = wheel.after(settings.connect_s, engine.close, "connect timeout")

    def _socket(self, namespace: str) -> Socket | None:
        if namespace == "/":
            return self._root
        return None if self._others is None else self._others.get(namespace)

    def _keep(self, namespace: str, socket: Socket | None) -> None:
        if namespace == "/":
            self._root = socket
        elif socket is None:
            if self._others is not None:
                self._others.pop(namespace, None)
        else:
            self._others = self._others or {}
            self._others[namespace] = socket

    # from the client

    def message(self, data: str | bytes) -> None:
        """One Engine.IO message."""
        step = self._connection.receive(data)
        if step is None:
            return
        if type(step) is Close:
            self.engine.fail(step.reason)
            return
        assert isinstance(step, Packet)
        mailbox = self._mailbox
        if mailbox is not None:
            mailbox.put(lambda: self._take(step))
            return
        waiting = self._take(step)
        if waiting is not None:
            mailbox = self._mailbox = Mailbox(limit=self._settings.inbox, owner=self)
            mailbox.put(lambda: waiting)
            self._workers.submit(mailbox)

    def pause(self) -> None:
        self.engine.pause()

    def resume(self) -> None:
        self.engine.resume()

    def drained(self) -> None:
        self._mailbox = None

    def _take(self, packet: Packet) -> Any:
        """Act on one packet: None if that is done, else the coroutine that does it."""
        try:
            if packet.type == EVENT:
                socket = self._socket(packet.namespace)
                if socket is None or not socket.admitted:
                    return None  # it left while this event waited
                waiting = self._application.dispatch(socket, packet)
                return None if waiting is None else self._guard(waiting)
            if packet.type == CONNECT:
                return self._guard(self._connect(packet))
            if packet.type == DISCONNECT:
                socket = self._socket(packet.namespace)
                if socket is not None:
                    self.end(socket, "client namespace disconnect", tell=False)
        except Exception:
            self._broken()
        return None

    async def _guard(self, waiting: Any) -> None:
        try:
            await waiting
        except Exception:
            self._broken()

    def _broken(self) -> None:
        # The one boundary of a client's events: its bug ends this client and nobody else.
        log.exception("client ended by an unexpected error", sid=self.engine.sid)
        self.engine.close("internal error", code=1011)

    async def _connect(self, packet: Packet) -> None:
        namespace = packet.namespace
        socket = Socket(self, namespace)
        self._keep(namespace, socket)
        try:
            welcome = await self._application.admit(socket, packet.data or {})
        except Refused as refused:
            if self._socket(namespace) is socket:
                self._keep(namespace, None)
                self._connection.refused(namespace)
                socket.send(encode_connect_error(refused.message, namespace=namespace))
            return
        if self._socket(namespace) is not socket or not self._connection.accepted(namespace):
            return  # it went away while the application decided
        socket.admitted = True
        self._forget_connect_timer()
        socket.send(encode_connect({"sid": socket.sid}, namespace=namespace))
        welcome()

    # ending

    def end(self, socket: Socket, reason: str, *, tell: bool) -> None:
        """The socket leaves its namespace; the transport lives on."""
        if self._socket(socket.namespace) is not socket:
            return
        self._keep(socket.namespace, None)
        self._connection.left(socket.namespace)
        if tell:
            socket.send(encode_disconnect(namespace=socket.namespace))
        if socket.admitted:
            self._application.gone(socket, reason)

    def closed(self, reason: str) -> None:
        """The Engine.IO session is over."""
        self._forget_connect_timer()
        if self._mailbox is not None:
            self._mailbox.clear()
        sockets = [self._root, *(self._others or {}).values()]
        self._root = self._others = None
        for socket in sockets:
            if socket is not None and socket.admitted:
                self._application.gone(socket, reason)

    def _forget_connect_timer(self) -> None:
        if self._connect_timer is not None:
            self._connect_timer.cancel()
            self._connect_timer = None
