"""A front door with everything behind it, on socket pairs: an API that does as it is told, an echo, and the real pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import trio

from gateway.api.answers import failure
from gateway.config import Http
from gateway.delivery.timers import Wheel
from gateway.net.asgi import Web
from gateway.net.door import Door
from gateway.net.multiplexer import Multiplexer
from gateway.net.ports import Receiver
from gateway.net.stream import PlainStream
from gateway.net.websocket import WebSockets
from gateway.web.site import create_web
from gateway.wire.http import Request, Response
from gateway.wire.prepared import prepare_text
from tests.net.fakes import Pairs, Peer, Recorder
from tests.web.asgi import NoFiles

HTTP = Http(head_bytes=4_096, head_s=10, body_bytes=5_000, body_s=30, keep_alive_s=75, write_s=20)
ENDPOINT_BYTES = 10_000

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 1.3


class Answer(msgspec.Struct, frozen=True):
    """One HTTP response; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


def parse_answers(data: bytes, *, heads: Sequence[int] = ()) -> list[Answer]:
    """Whole responses, one behind the other; anything else is an error.

    Args:
        heads: which of them answer HEAD, and so have no body.
    """
    answers: list[Answer] = []
    while data:
        head, blank, data = data.partition(b"\r\n\r\n")
        assert blank, f"the last answer is not whole: {head!r}"
        status_line, *lines = head.decode("latin-1").split("\r\n")
        assert status_line.startswith("HTTP/1.1 "), status_line
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        assert len(headers) == len(lines), f"a header twice: {lines}"
        status, body = int(status_line[9:12]), b""
        if status < 200 or status in (204, 304) or len(answers) in heads:
            pass
        elif headers.get("transfer-encoding") == "chunked":
            body, data = _chunked(data)
        else:
            length = int(headers["content-length"])
            assert len(data) >= length, "the last body is not whole"
            body, data = data[:length], data[length:]
        answers.append(Answer(status, headers, body))
        if status == 101:
            return [*answers, Answer(0, {}, data)] if data else answers
    return answers


def _chunked(data: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        assert data[length : length + 2] == b"\r\n"
        body, data = body + data[:length], data[length + 2 :]
        if not length:
            return body, data


class EchoEndpoint:
    """WebSockets are echoed; plain requests wait for as many seconds as the query says."""

    def __init__(self) -> None:
        self.receivers: list[Recorder] = []
        self.ended: list[str] = []
        self.receiver_class: type[Recorder] = Recorder

    def open(self, request: Request) -> Receiver | Response:
        if request.query == "refuse":
            return Response(403, b"{}")
        receiver = self.receiver_class()
        receiver.on_message = lambda message: receiver.outbox.put(prepare_text(str(message).encode()))
        self.receivers.append(receiver)
        return receiver

    async def handle(self, request: Request) -> Response:
        try:
            await trio.sleep(float(request.query or 0))
        except trio.Cancelled:
            self.ended.append("cancelled")
            raise
        return Response(200, b"{}")


KEPT = Response(200, b'"kept"')


class Promise:
    """An answer that is known when somebody says so."""

    def __init__(self) -> None:
        self._kept = trio.Event()
        self._call: Callable[[Response], None] | None = None

    async def wait(self) -> Response:
        await self._kept.wait()
        return KEPT

    def when_done(self, call: Callable[[Response], None]) -> None:
        self._call = call

    def keep(self, response: Response = KEPT) -> None:
        self._kept.set()
        if self._call is not None:
            self._call(response)


async def route(request: Request) -> Response:
    """Says what it was asked; ``/v1/wait`` takes as many seconds as the query says, ``/v1/raise`` is a bug."""
    if request.path in ("/v1/wait", "/v1/raise") and request.query:
        await trio.sleep(float(request.query))
    if request.path == "/v1/raise":
        raise RuntimeError("route")
    if request.path == "/v1/large":
        return Response(200, b'"' + b"x" * int(request.query) + b'"')
    if request.path == "/v1/unsayable":
        return Response(200, b"", headers=(("X", "\N{EURO SIGN}"),))
    told = {"method": request.method, "path": request.path, "body": request.body.decode("latin-1")}
    return Response(200, msgspec.json.encode(told), close=request.path == "/v1/last")


class Front:
    """The door, and what stands behind it."""

    def __init__(
        self,
        nursery: trio.Nursery,
        wheel: Wheel,
        multiplexer: Multiplexer,
        pairs: Pairs,
        *,
        http: Http = HTTP,
    ) -> None:
        self.endpoint = EchoEndpoint()
        self.promises: list[Promise] = []
        self.multiplexer = multiplexer
        self.nursery = nursery
        self._pairs = pairs
        self.door = Door(
            route=self._route,
            endpoints={"/echo/": self.endpoint},
            websockets=WebSockets(
                multiplexer=multiplexer,
                wheel=wheel,
                message_bytes=ENDPOINT_BYTES,
                fragments=16,
                close_s=2,
                write_s=http.write_s,
                deflate=False,
            ),
            web=Web(
                create_web(
                    api=route,
                    ready=self._ready,
                    openapi=dict,
                    failure=failure,
                    files=NoFiles(),
                    max_body=http.body_bytes,
                    body_s=http.body_s,
                    write_s=http.write_s,
                ),
                http=http,
            ),
            http=http,
            wheel=wheel,
            endpoint_bytes=ENDPOINT_BYTES,
            receive=multiplexer.receive,
        )
        nursery.start_soon(self.door.run)

    async def _route(self, request: Request) -> Response | Promise:
        """``route``, and answers to ``/v1/promise`` are due when the test says so."""
        if request.path != "/v1/promise":
            return await route(request)
        self.promises.append(Promise())
        return self.promises[-1]

    async def _ready(self) -> dict[str, bool]:
        return {}

    def connect(self, *, buffer_bytes: int | None = None) -> Peer:
        server, peer = self._pairs(buffer_bytes=buffer_bytes)
        self.nursery.start_soon(self._serve, PlainStream(server))
        return peer

    async def _serve(self, stream: PlainStream) -> None:
        await self.door.serve(stream, peer="192.0.2.1", secure=False)


def request(
    method: str, target: str, body: bytes | None = None, /, *, version: str = "1.1", **headers: str
) -> bytes:
    """A request; ``X_Header`` stands for ``X-Header``."""
    lines = [f"{method} {target} HTTP/{version}", "Host: h"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode() + (body or b"")


def chunked(method: str, target: str, *pieces: bytes) -> bytes:
    """A request with its body in chunks."""
    head = request(method, target, Transfer_Encoding="chunked")
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


def upgrade(target: str, **changes: str) -> bytes:
    headers = UPGRADE | {name.replace("_", "-"): value for name, value in changes.items()}
    return request("GET", target, **{name.replace("-", "_"): value for name, value in headers.items()})


API = request("GET", "/v1/users")
POSTED = request("POST", "/v1/messages", b'{"x":1}')
ENDPOINT = request("POST", "/echo/", b"4hello")
PAGE = request("GET", "/healthz")
MISSING_PAGE = request("GET", "/no/such/page")
PAGE_WITH_BODY = request("POST", "/no/such/page", b"x" * 1_000)
API_IN_CHUNKS = chunked("POST", "/v1/messages", b'{"x"', b":1}")
HEAD_OF_PAGE = request("HEAD", "/healthz")
KINDS = {
    "api": (API, 200),
    "post": (POSTED, 200),
    "endpoint": (ENDPOINT, 200),
    "page": (PAGE, 200),
    "missing page": (MISSING_PAGE, 404),
    "unread body": (PAGE_WITH_BODY, 404),
    "chunks": (API_IN_CHUNKS, 200),
    "head": (HEAD_OF_PAGE, 200),
}
