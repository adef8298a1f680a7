"""Sessions that live on another node: what comes here for them goes there, and the answer back.

An Engine.IO session lives in the memory of one node, and its long-polling is a request after another, which a balancer
without stickiness spreads over all nodes. So a sid begins with the id of its node, and a node that is asked for another's
passes the request on: polls and posts as requests of its own, an upgrade to WebSocket by joining the two connections.

What is passed on is marked, so that it is never passed on twice: nodes that disagree about who is who do not play ball
with a client.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias
from urllib.parse import parse_qsl

import httpx2
import msgspec
import structlog
import trio

from gateway.net.heads import Head
from gateway.net.ports import Endpoint, Receiver
from gateway.wire.http import Request, Response

MARK = "x-gateway-relayed"
NODE_ID_CHARS = 16
CONNECT_S = 3.0
RECEIVE_BYTES = 65_536

AddressOf: TypeAlias = Callable[[str], tuple[str, int] | None]
"""Where the node with this id takes connections of other nodes; None if it is not known, or gone."""

AWAY = Response(
    400,
    b'{"code":1,"message":"Session ID unknown"}',
    headers=(("Access-Control-Allow-Origin", "*"), ("Cache-Control", "no-store")),
)
"""What Engine.IO answers for a session that is gone: its client opens a new one."""

log = structlog.get_logger(__name__)


class Elsewhere(msgspec.Struct, frozen=True):
    """A WebSocket that belongs to the node at this address."""

    host: str
    port: int


class Relay:
    """An endpoint, of which some sessions are on other nodes.

    Args:
        endpoint: this node's own.
        node_id: this node's; sids that it makes begin with it.
        answer_s: the longest that an answer may take: a poll waits until the next ping.
    """

    def __init__(self, endpoint: Endpoint, *, node_id: str, address_of: AddressOf, answer_s: float) -> None:
        self._endpoint = endpoint
        self._node_id = node_id
        self._address_of = address_of
        self._timeout = httpx2.Timeout(answer_s, connect=CONNECT_S, pool=None)
        self._client: httpx2.AsyncClient | None = None
        self._relayed = 0

    def open(self, request: Request) -> Receiver | Response | Elsewhere:
        address = self._elsewhere(request)
        if address is None:
            return self._endpoint.open(request)
        self._relayed += 1
        return Elsewhere(*address)

    async def handle(self, request: Request) -> Response:
        address = self._elsewhere(request)
        if address is None or self._client is None:
            return await self._endpoint.handle(request)
        self._relayed += 1
        host, port = address
        # Who the client is decides how it is answered.
        headers = {MARK: self._node_id, "user-agent": request.headers.get("user-agent", "")}
        if "content-type" in request.headers:
            headers["content-type"] = request.headers["content-type"]
        try:
            answer = await self._client.request(
                request.method,
                f"http://{_bracketed(host)}:{port}{request.path}?{request.query}",
                headers=headers,
                content=request.body,
                timeout=self._timeout,
            )
        except httpx2.TransportError as error:
            log.warning("a session's node cannot be reached", host=host, port=port, error=repr(error))
            return AWAY
        return Response(
            answer.status_code,
            answer.content,
            content_type=answer.headers.get("content-type", "text/plain; charset=UTF-8"),
            headers=[
                (name, value)
                for name, value in answer.headers.items()
                if name == "cache-control" or name.startswith("access-control-")
            ],
        )

    def _elsewhere(self, request: Request) -> tuple[str, int] | None:
        """The address of the node that has this request's session, if that is another's and it lives."""
        # Whoever begins has no sid; its query need not be taken apart twice.
        if MARK in request.headers or ("sid" not in request.query and "%" not in request.query):
            return None
        sid = dict(parse_qsl(request.query)).get("sid")
        if sid is None or sid.startswith(self._node_id):
            return None
        return self._address_of(sid[:NODE_ID_CHARS])

    async def run(self) -> None:
        """Hold the connections to the other nodes open, for ever."""
        # As many at once as there are polls of clients that came to the wrong node: the door bounds those.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=64)
        async with httpx2.AsyncClient(limits=limits, trust_env=False) as self._client:
            await trio.sleep_forever()

    def statistics(self) -> dict[str, int]:
        return {"relayed": self._relayed}


async def join(
    stream: trio.abc.Stream, head: Head, early: bytes, elsewhere: Elsewhere, *, write_s: float
) -> bool:
    """Make one connection of two: the client's, whose upgrade this is, and a new one to the node that will serve it.

    Args:
        early: what the client has sent behind the head.
        write_s: how long either may take nothing of what the other has sent. Who does not read would not see the end of the
            other either.

    Returns:
        False when the node could not be reached, and nothing has been answered; True when the connection is over.
    """
    node: trio.SocketStream | None = None
    with trio.move_on_after(CONNECT_S), suppress(OSError):
        node = await trio.open_tcp_stream(elsewhere.host, elsewhere.port)
    if node is None:
        return False
    async with node:
        await _join(stream, node, _again(head) + early, write_s=write_s)
    return True


async def _join(stream: trio.abc.Stream, node: trio.abc.Stream, first: bytes, *, write_s: float) -> None:
    async with trio.open_nursery() as nursery:

        async def pass_on(source: trio.abc.Stream, target: trio.abc.Stream) -> None:
            try:
                while data := await source.receive_some(RECEIVE_BYTES):
                    with trio.fail_after(write_s):
                        await target.send_all(data)
            except trio.TooSlowError:
                log.info("a joined WebSocket ends, since one side takes nothing")
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
            nursery.cancel_scope.cancel()  # a WebSocket has no half that outlives the other

        try:
            await node.send_all(first)
        except trio.BrokenResourceError:
            return
        nursery.start_soon(pass_on, node, stream)
        nursery.start_soon(pass_on, stream, node)


def _again(head: Head) -> bytes:
    """The head of a request as it is sent on, marked."""
    lines = [f"{head.method} {head.path}?{head.query} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in head.headers.items() if name != MARK]
    return ("\r\n".join([*lines, f"{MARK}: 1"]) + "\r\n\r\n").encode("latin-1")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
