"""The front door: reads the head of each request on a connection and gives the connection to whoever serves it.

=============================================  =========================================================
a WebSocket upgrade at an endpoint             handshake, then the multiplexer (or a TLS link)
an endpoint's path (``/socket.io/``)           the endpoint: long-polling
below ``/v1/``, come whole                     the lobby, without waking the connection's task: ``route(request)``
below ``/v1/``, in parts, behind another       the connection's task: the same
everything else, and bodies sent in chunks     Quart-Trio on Hypercorn, which mounts the same route
=============================================  =========================================================

A kept-alive connection goes freely between them.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Any

import structlog
import trio

from gateway.config import Http
from gateway.delivery.timers import Wheel
from gateway.net.asgi import Web
from gateway.net.heads import Head, Malformed
from gateway.net.http import Clock, HttpConnection, error_response
from gateway.net.lobby import Guest, Lobby, Receive, Unsent
from gateway.net.multiplexer import receive
from gateway.net.ports import Endpoint, Route
from gateway.net.relay import AWAY, Elsewhere, join
from gateway.net.stream import PlainStream
from gateway.net.websocket import WebSockets
from gateway.wire.http import Request, Response

API_PREFIX = "/v1/"

CROWDED_S = 1.0
"""How long it counts that more connections waited than are accepted at a time."""

_CODES = {400: "invalid_request", 408: "timeout", 413: "too_large", 431: "head_too_large"}

NOTHING_HERE = error_response(404, "There is nothing at this address.", "not_found")

log = structlog.get_logger(__name__)


class Door:
    """Serves connections, one task each, until a WebSocket takes them over or they end.

    Args:
        endpoints: by exact path, e.g. ``/socket.io/``.
        web: serves what no other does; None answers 404.
    """

    def __init__(
        self,
        *,
        route: Route,
        endpoints: Mapping[str, Endpoint],
        websockets: WebSockets,
        web: Web | None,
        http: Http,
        wheel: Wheel,
        endpoint_bytes: int,
        receive: Receive = receive,
    ) -> None:
        self._route = route
        self._endpoints = endpoints
        self._websockets = websockets
        self._web = web
        self._http = http
        self._wheel = wheel
        self._clock = Clock()
        self._endpoint_bytes = endpoint_bytes
        self._idle: set[HttpConnection] = set()
        self._lobby = Lobby(answer=self._answer_at_once, receive=receive)
        self._retiring = False
        self._stopping = False
        self._connections = 0
        self._crowded_at = -math.inf
        self._emptied = trio.Event()

    async def serve(self, stream: trio.abc.Stream, *, peer: str, secure: bool) -> None:
        """One connection, to its end. The one boundary: what goes wrong here ends this connection only."""
        self._connections += 1
        moved = False
        try:
            moved = await self._hold(stream, peer=peer, secure=secure)
        except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError):
            pass  # the client went away
        except Exception:
            log.exception("connection ended by an unexpected error", peer=peer)
        finally:
            self._connections -= 1
            if not self._connections:
                self._emptied.set()
            if not moved:
                await trio.aclose_forcefully(stream)

    async def _hold(self, stream: trio.abc.Stream, *, peer: str, secure: bool) -> bool:
        """Serve requests within their deadlines; True if the connection has moved to the multiplexer."""
        with trio.CancelScope() as scope:
            connection = HttpConnection(
                stream,
                settings=self._http,
                wheel=self._wheel,
                clock=self._clock,
                peer=peer,
                secure=secure,
                cancel=scope.cancel,
            )
            try:
                return await self._requests(connection)
            finally:
                self._idle.discard(connection)
                connection.forget()
        if connection.expired and connection.mid_request:
            await self._say_timeout(connection)
        return False

    async def _say_timeout(self, connection: HttpConnection) -> None:
        with trio.move_on_after(1, shield=True):
            try:
                answer = error_response(408, "The request took too long to arrive.", _CODES[408])
                await connection.respond(answer, head=None, keep_alive=False)
            except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError):
                pass

    async def _requests(self, connection: HttpConnection) -> bool:
        """Serve requests until the connection ends; True if it has moved to the multiplexer."""
        if connection.secure:
            stream: trio.SSLStream[trio.SocketStream] = connection.stream  # type: ignore[assignment]
            if stream.selected_alpn_protocol() == "h2" and self._web is not None:
                await self._web.serve_http2(connection)
                return False
        while not self._stopping:
            self._idle.add(connection)
            head: Head | None = None
            try:
                plain = connection.stream
                if connection.has_begun:
                    await trio.lowlevel.checkpoint()  # pipelined: the others have their turn all the same
                elif isinstance(plain, PlainStream):
                    connection.rest()
                    guest = await self._lobby.stay(connection, plain.socket.fileno())
                    if guest.unsent:
                        await connection.send(guest.unsent)
                        if guest.keep_alive:
                            continue
                    if not guest.keep_alive:
                        return False
                head = await connection.head()
                self._idle.discard(connection)
                if head is None:
                    return False
                endpoint = self._endpoints.get(head.path)
                if head.is_upgrade:
                    return await self._upgrade(connection, head, endpoint)
                if head.length is not None and (endpoint is not None or head.path.startswith(API_PREFIX)):
                    keep_alive = await self._answer(connection, head, endpoint)
                elif self._web is not None:
                    keep_alive = await self._web.serve(connection, head) and head.keep_alive
                else:
                    await connection.respond(
                        error_response(404, "There is nothing here.", "not_found"),
                        head=head,
                        keep_alive=False,
                    )
                    keep_alive = False
            except Malformed as error:
                keep_alive = await self._refuse(connection, head, error)
            if not keep_alive:
                break
        return False

    def _answer_at_once(self, guest: Guest) -> Coroutine[Any, Any, None] | None:
        """What answers a request to the API that has come whole, and is all that has come; None for anything else."""
        head = guest.connection.whole_head(self._http.body_bytes)
        if head is None or not head.path.startswith(API_PREFIX) or head.is_upgrade:
            return None
        self._idle.discard(guest.connection)
        guest.connection.unhurried()
        return self._answer_guest(guest, head)

    async def _answer_guest(self, guest: Guest, head: Head) -> None:
        """As in ``serve``, what goes wrong here ends this connection only."""
        connection = guest.connection
        try:
            answer = await self._route(_request(connection, head, connection.take_body(head)))
        except Exception:
            log.exception("connection ended by an unexpected error", peer=connection.peer)
            self._lobby.answered(guest, b"", keep_alive=False)
            return
        if isinstance(answer, Response):
            self._answered(guest, head, answer)
        else:
            answer.when_done(partial(self._answered, guest, head))

    def _answered(self, guest: Guest, head: Head, response: Response) -> None:
        connection = guest.connection
        keep_alive = head.keep_alive and not response.close and not self._retiring
        unsent: Unsent = b""
        try:
            self._websockets.hurry()
            unsent = connection.respond_nowait(response, head=head, keep_alive=keep_alive)
        except trio.BrokenResourceError:
            keep_alive = False  # the client went away
        except Exception:
            # Whoever calls has others to answer: the leader, or the store of a group.
            log.exception("connection ended by an unexpected error", peer=connection.peer)
            keep_alive = False
        if keep_alive and not unsent:
            self._idle.add(connection)
            connection.rest()
        self._lobby.answered(guest, unsent, keep_alive=keep_alive)

    async def _answer(self, connection: HttpConnection, head: Head, endpoint: Endpoint | None) -> bool:
        """One request to the API or to an endpoint; True to keep the connection."""
        limit = self._http.body_bytes if endpoint is None else self._endpoint_bytes
        request = _request(connection, head, await connection.body(head, limit) if head.length else b"")
        response: Response | None
        if endpoint is None:
            answer = await self._route(request)
            response = answer if isinstance(answer, Response) else await answer.wait()
        else:
            response = await connection.while_connected(endpoint.handle, request)
            if response is None:
                return False
        keep_alive = head.keep_alive and not response.close and not self._retiring
        await connection.respond(response, head=head, keep_alive=keep_alive)
        return keep_alive

    async def _upgrade(self, connection: HttpConnection, head: Head, endpoint: Endpoint | None) -> bool:
        if endpoint is None:
            await connection.respond(NOTHING_HERE, head=head, keep_alive=False)
            return False
        request = _request(connection, head, b"")
        answer = self._websockets.handshake(head)
        if isinstance(answer, Response):
            await connection.respond(answer, head=head, keep_alive=False)
            return False
        receiver = endpoint.open(request)
        if isinstance(receiver, Elsewhere):
            await self._pass_on(connection, head, receiver)
            return False
        if isinstance(receiver, Response):
            await connection.respond(receiver, head=head, keep_alive=False)
            return False
        accepted, deflate = answer
        return await self._websockets.serve(connection, accepted, receiver, receiver.outbox, deflate=deflate)

    async def _pass_on(self, connection: HttpConnection, head: Head, elsewhere: Elsewhere) -> None:
        """A WebSocket of another node's session. It ends when we stop, so that its client goes to that node itself."""
        self._idle.add(connection)
        early = connection.take_buffer()
        if not await join(connection.stream, head, early, elsewhere, write_s=self._http.write_s):
            await connection.respond(AWAY, head=head, keep_alive=False)

    async def _refuse(self, connection: HttpConnection, head: Head | None, error: Malformed) -> bool:
        """Say what was wrong; True if the request could be read away and the connection kept."""
        keep_alive = head is not None and error.status == 413 and head.keep_alive
        answer = error_response(error.status, error.message, _CODES[error.status])
        if keep_alive and head is not None and (head.length is None or "expect" in head.headers):
            keep_alive = False
        await connection.respond(answer, head=head, keep_alive=keep_alive)
        if head is None:
            return False
        # Also when the connection is to end: a client still sending would lose the answer to a reset.
        return await connection.drop_body(head) and keep_alive

    async def run(self) -> None:
        """Answer, for ever, what plain connections ask that needs no task of theirs."""
        await self._lobby.run()

    def retire(self) -> None:
        """Let each connection end with its next answer, so that clients who keep theirs alive go elsewhere."""
        self._retiring = True

    def stop(self) -> None:
        """Take no further requests: idle connections end now, busy ones after their answer."""
        self._retiring = self._stopping = True
        for connection in self._idle:
            connection.cancel()
        if self._web is not None:
            self._web.stop()

    async def wait_empty(self) -> None:
        """Until no connection is left here; multiplexed WebSockets do not count."""
        while self._connections:
            self._emptied = trio.Event()
            await self._emptied.wait()

    def crowded(self) -> None:
        """More connections wait than are accepted at a time."""
        self._crowded_at = trio.current_time()

    @property
    def is_crowded(self) -> bool:
        """Whether that was so a moment ago."""
        return trio.current_time() - self._crowded_at < CROWDED_S

    @property
    def load(self) -> int:
        """Connections now, WebSockets included."""
        return self._connections + self._websockets.established

    def statistics(self) -> dict[str, int]:
        return {"connections": self._connections, "idle": len(self._idle)}


def _request(connection: HttpConnection, head: Head, body: bytes) -> Request:
    return Request(
        head.method,
        head.path,
        query=head.query,
        headers=head.headers,
        body=body,
        peer=connection.peer,
        secure=connection.secure,
    )
