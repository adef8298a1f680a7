"""Socket.IO 5 on an Engine.IO session: namespaces, CONNECT and its answer, events in order, acks, DISCONNECT."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

import msgspec
import structlog

from gateway.delivery.timers import Timer, Wheel
from gateway.errors import Unavailable
from gateway.net.engine import EngineSession
from gateway.net.mailboxes import Job, Mailbox, Waiting, Workers
from gateway.net.ports import Refused, SocketApplication
from gateway.wire.connection import Close, Connection
from gateway.wire.prepared import prepare_ack, prepare_binary, prepare_text
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

CLIENT_LEFT = "client namespace disconnect"
TRY_AGAIN_LATER = 1013

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
        sid: the public id of this socket, not that of the transport; the application may change it before the socket is
            admitted.
        pid: what the client shows when it comes back, to be taken for this socket, until it has been told; None if the
            application knows no such thing.
        state: the application's own record of the client.
        admitted: the CONNECT answer has been queued.
    """

    __slots__ = ("_client", "admitted", "namespace", "pid", "sid", "state")

    def __init__(self, client: SocketIO, namespace: str) -> None:
        self._client = client
        self.namespace = namespace
        self.sid = secrets.token_urlsafe(15)
        self.pid: str | None = None
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
        if self.namespace == "/":
            self._client.engine.outbox.put(prepare_ack(ack_id))
        else:
            self.send(encode_ack(ack_id, namespace=self.namespace))

    def disconnect(self) -> None:
        """Leave the namespace for the client: it is told, and does not come back by itself."""
        self._client.end(self)


class SocketIO:
    """The Socket.IO side of one client. The receiver of its Engine.IO session.

    CONNECT and events run in the order they came. An event that can be answered at once is, unless earlier ones wait.
    """

    __slots__ = (
        "_application",
        "_connect_timer",
        "_connection",
        "_leaving",
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
        self._connection = Connection(
            max_attachments=settings.max_attachments, decode_event=application.decode_event
        )
        self._mailbox: Mailbox | None = None
        self._root: Socket | None = None
        self._leaving: tuple[Socket, ...] = ()  # has left, behind events that wait
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
        """One Engine.IO message.

        Each packet is bound to its socket here, when it comes: a client may leave a namespace and come back while something
        of its first stay still waits.
        """
        step = self._connection.receive(data)
        if step is None:
            return
        if isinstance(step, Close):
            self.engine.fail(step.reason)
            return
        namespace = step.namespace
        socket = self._root if namespace == "/" else self._socket(namespace)
        if step.type == CONNECT:
            socket = Socket(self, namespace)
            self._keep(namespace, socket)
            self._later(partial(self._connect, socket, step.data or {}))
        elif socket is None:
            return  # the server has ended its stay
        elif step.type == EVENT:
            if self._mailbox is not None:
                self._mailbox.put(partial(self._event, socket, step))
                return
            try:
                waiting = self._event(socket, step)
            except Exception:
                self.broken()
                return
            if waiting is not None:
                self._later(waiting)
        elif step.type == DISCONNECT:
            self._keep(namespace, None)
            if self._mailbox is None:
                self._gone(socket, CLIENT_LEFT)
            else:
                self._leaving = (*self._leaving, socket)
                self._mailbox.put(partial(self._gone, socket, CLIENT_LEFT))

    def _event(self, socket: Socket, packet: Packet) -> Waiting | None:
        # What a client still wanted when the server ended its stay is not done.
        return self._application.dispatch(socket, packet) if socket.admitted else None

    def _later(self, job: Job) -> None:
        """Do this on the worker pool, after everything of this client that waits already."""
        if self._mailbox is not None:
            self._mailbox.put(job)
            return
        self._mailbox = Mailbox(limit=self._settings.inbox, owner=self)
        self._mailbox.put(job)
        self._workers.submit(self._mailbox)

    async def _connect(self, socket: Socket, auth: dict[str, Any]) -> None:
        namespace = socket.namespace
        try:
            welcome = await self._application.admit(socket, auth)
        except Refused as refused:
            if self._socket(namespace) is socket:
                self._keep(namespace, None)
                self._connection.refused(namespace)
                socket.send(encode_connect_error(refused.message, namespace=namespace))
            return
        except Unavailable as error:
            # Not CONNECT_ERROR, after which the published client never tries again (contract 4.2): it comes back by itself
            # from a transport that is closed.
            log.warning("client not let in", error=error.message)
            self.engine.close("unavailable", code=TRY_AGAIN_LATER)
            return
        if self._socket(namespace) is not socket:
            return  # it left while the application decided
        self._connection.accepted(namespace)
        socket.admitted = True
        self._forget_connect_timer()
        answer = {"sid": socket.sid} if socket.pid is None else {"sid": socket.sid, "pid": socket.pid}
        socket.pid = None
        socket.send(encode_connect(answer, namespace=namespace))
        welcome()

    # the mailbox's owner

    def pause(self) -> None:
        self.engine.pause()

    def resume(self) -> None:
        self.engine.resume()

    def broken(self) -> None:
        # The one boundary of a client's events: its bug ends this client and nobody else.
        log.exception("client ended by an unexpected error", sid=self.engine.sid)
        self.engine.close("internal error", code=1011)

    def drained(self) -> None:
        self._mailbox = None
        self._leaving = ()

    # ending

    def end(self, socket: Socket) -> None:
        """The application ends a client's stay in its namespace; the client is told, the transport lives on."""
        if self._socket(socket.namespace) is socket:
            self._connection.left(socket.namespace)
            socket.send(encode_disconnect(namespace=socket.namespace))
            self._keep(socket.namespace, None)
            self._gone(socket, "server namespace disconnect")

    def _gone(self, socket: Socket, reason: str) -> None:
        """Tell the application, if it let the socket in, once."""
        if not socket.admitted:
            return
        try:
            self._application.gone(socket, reason)
        except Exception:
            # A boundary of its own: this is reached from the end of the transport, where nothing else must fail.
            log.exception("farewell failed", sid=self.engine.sid)
        socket.admitted = False

    def closed(self, reason: str) -> None:
        """The Engine.IO session is over."""
        self._forget_connect_timer()
        if self._mailbox is not None:
            self._mailbox.clear()
        for socket in [self._root, *(self._others or {}).values(), *self._leaving]:
            if socket is not None:
                self._gone(socket, reason)
        self._root = self._others = None
        self._leaving = ()

    def _forget_connect_timer(self) -> None:
        if self._connect_timer is not None:
            self._connect_timer.cancel()
            self._connect_timer = None
