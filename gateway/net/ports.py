"""What net/ asks of whoever answers: one object for REST, one per kind of socket. ``app.py`` hands them in.

The layers of a Socket.IO client, from the network up:

    Link (links.py)            one WebSocket, on the multiplexer or on a TLS stream; or a poll (polling.py)
    EngineSession (engine.py)  Engine.IO: heartbeat, transports, upgrade, the outbox
    SocketIO (socketio.py)     Socket.IO: namespaces, events, acks, the ordered mailbox
    SocketApplication          the gateway (api/socket.py), or a conformance server
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from gateway.wire.http import Request, Response

if TYPE_CHECKING:
    from gateway.delivery.outbox import Outbox
    from gateway.net.links import Link
    from gateway.net.relay import Elsewhere
    from gateway.net.socketio import Socket
    from gateway.wire.socketio import Packet


class Due(Protocol):
    """The answer to a request that waits for the store alone. Nothing is done before ``wait`` or ``when_done``: one of them,
    once.
    """

    async def wait(self) -> Response: ...
    def when_done(self, call: Callable[[Response], None]) -> None:
        """Call this on the event loop, perhaps at once. It must not raise and must not wait."""
        ...


Route: TypeAlias = Callable[[Request], Awaitable[Response | Due]]
"""The whole REST surface: one coroutine function."""


class Receiver(Protocol):
    """Who gets the messages of one WebSocket. All synchronous: a reader waits for nobody.

    Attributes:
        outbox: what the link writes.
    """

    @property
    def outbox(self) -> Outbox: ...

    def attached(self, link: Link) -> None:
        """The handshake is done; called once, before any message."""
        ...

    def text(self, message: str) -> None: ...
    def binary(self, message: bytes) -> None: ...
    def lost(self, reason: str) -> None:
        """The link is gone, for whatever reason; called once, last."""
        ...


class Endpoint(Protocol):
    """What lives at one path: WebSocket upgrades, and plain requests (long-polling)."""

    def open(self, request: Request) -> Receiver | Response | Elsewhere:
        """A WebSocket upgrade is asked for: who will receive, where it belongs, or why not."""
        ...

    async def handle(self, request: Request) -> Response:
        """A plain request. Cancelled when its client goes away."""
        ...


class MessageReceiver(Protocol):
    """Who gets the messages of one Engine.IO session."""

    def message(self, data: str | bytes) -> None: ...
    def closed(self, reason: str) -> None:
        """The session is over; called once, last."""
        ...


class Refused(Exception):
    """``SocketApplication.admit`` does not let the client in; ``message`` is what CONNECT_ERROR says."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class SocketApplication(Protocol):
    """Who answers Socket.IO clients."""

    @property
    def decode_event(self) -> Callable[[str], Any] | None:
        """Makes the application's own record of the JSON of an event, which ``dispatch`` then finds as the packet's data;
        raises ValueError where it cannot. None when the application takes ``[name, *arguments]`` as they are."""
        ...

    async def admit(self, socket: Socket, auth: dict[str, Any]) -> Callable[[], None]:
        """Let a client into ``socket.namespace``, or raise ``Refused``. May wait, and leaves nothing to undo: the client
        may be gone by the time it returns. What it returns is called when the CONNECT answer has been queued, before
        anything else runs; what that emits follows the answer at once."""
        ...

    def dispatch(self, socket: Socket, packet: Packet) -> Coroutine[Any, Any, None] | None:
        """Take one event. What can be done at once is done at once; what must wait is returned as a coroutine, which runs
        on the worker pool, in the order of the client's events."""
        ...

    def gone(self, socket: Socket, reason: str) -> None:
        """A client that was let in has left the namespace or is lost; called once."""
        ...
