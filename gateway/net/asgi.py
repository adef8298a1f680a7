"""Quart-Trio on Hypercorn for everything that is not an API: one request at a time, on a connection that stays ours.

Hypercorn's ``TCPServer`` is given a ``Borrowed`` stream: it reads exactly one request, and the end of input once it has
answered and would wait for the next. So it never owns the connection, and a kept-alive client may go from a page to the API
and back. A connection that speaks HTTP/2 (TLS, ALPN) is Hypercorn's to its end.
"""

from __future__ import annotations

import contextlib
import math
import re
from typing import Any

import trio
from h2.errors import ErrorCodes
from h2.exceptions import StreamClosedError
from h2.settings import SettingCodes, Settings
from hypercorn.config import Config as HypercornConfig
from hypercorn.events import Event, Updated
from hypercorn.protocol import ProtocolWrapper
from hypercorn.protocol.events import Body
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import LifespanState
from hypercorn.utils import wrap_app

from gateway.config import Http
from gateway.net.heads import Head
from gateway.net.http import RECEIVE_BYTES, HttpConnection

_OURS = re.compile(rb"\r\n(?:expect|upgrade|http2-settings):[^\r\n]*", re.IGNORECASE)
"""Header lines that ask for what the door has done (100 Continue) or what is not offered here (h2c)."""


LAST_WORD_S = 0.05
"""How long an HTTP/2 connection that is idle at shutdown is left: the end of its last answer is sent by another task."""


class Bounded:
    """A connection as Hypercorn sees it, whose writes come to an end.

    Hypercorn shields its writes without a deadline. Here each has one, and ``abandon`` ends the one that is under way, so
    that a client that does not read cannot hold up the shutdown.

    Attributes:
        closed: the connection is of no further use.
    """

    def __init__(self, connection: HttpConnection, *, write_s: float) -> None:
        self.closed = False
        self._write_s = write_s
        stream: Any = connection.stream
        self._stream = stream
        self._sending: trio.CancelScope | None = None
        self._receiving: trio.CancelScope | None = None
        self.transport_stream = stream.transport_stream if connection.secure else stream
        self.socket = self.transport_stream.socket
        if connection.secure:
            self.do_handshake = trio.lowlevel.checkpoint  # the door has done it

    def selected_alpn_protocol(self) -> str:
        return "h2"

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if not self.closed:
            with trio.CancelScope() as self._receiving:
                return bytes(await self._stream.receive_some(max_bytes))
        raise trio.ClosedResourceError

    async def send_all(self, data: bytes) -> None:
        if self.closed:
            raise trio.ClosedResourceError
        try:
            with trio.move_on_after(self._write_s) as self._sending:
                await self._stream.send_all(data)
                return
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.abandon()
            raise
        finally:
            self._sending = None
        self.abandon()
        raise trio.BrokenResourceError("the client does not read")

    def abandon(self) -> None:
        """Send and receive nothing more."""
        self.closed = True
        if self._sending is not None:
            self._sending.cancel()
        if self._receiving is not None:
            self._receiving.cancel()

    async def aclose(self) -> None:
        self.abandon()
        await trio.lowlevel.checkpoint()


class Borrowed(Bounded):
    """One request of a connection, as a stream that Hypercorn may think it owns.

    Args:
        first: what has been read of the request.
        rest: how many bytes of it may still follow; infinity when it comes in chunks.

    Attributes:
        finished: Hypercorn has answered, or is done with the connection.
    """

    def __init__(self, connection: HttpConnection, first: bytes, *, rest: float, write_s: float) -> None:
        super().__init__(connection, write_s=write_s)
        self.finished = trio.Event()
        self._first = first
        self._rest = rest

    def selected_alpn_protocol(self) -> str:
        return "http/1.1"

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._first:
            await trio.lowlevel.checkpoint()
            first, self._first = self._first, b""
            return first
        if not self._rest:
            # A client that goes away meanwhile is noticed when the answer is written.
            await self.finished.wait()
            return b""
        data = b""
        async with trio.open_nursery() as nursery:

            async def until_finished() -> None:
                await self.finished.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(until_finished)
            # Inside, or they would come out as a group: to Hypercorn a client that is gone is the end of its input.
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                # Not beyond the request: what follows is the next one, and ours.
                data = await super().receive_some(int(min(self._rest, max_bytes or RECEIVE_BYTES)))
                self._rest -= len(data)
            nursery.cancel_scope.cancel()
        return data

    def abandon(self) -> None:
        super().abandon()
        self.finished.set()

    async def aclose(self) -> None:
        if not self.finished.is_set():
            self.abandon()
        await trio.lowlevel.checkpoint()


class _Streams(dict[int, Any]):
    """The streams of an HTTP/2 connection that are not answered yet; looking for another finds ``_Answered``.

    A client may still be sending the body of a request that was refused. Hypercorn looks its stream up all the same, and
    would end the connection with all other requests on it when there is none.
    """

    def __init__(self, protocol: H2Protocol) -> None:
        self._protocol = protocol

    def __missing__(self, stream_id: int) -> _Answered:
        return _Answered(self._protocol)


class _Answered:
    """A stream whose request has been answered before it was read to its end."""

    def __init__(self, protocol: H2Protocol) -> None:
        self._protocol = protocol

    async def handle(self, event: StreamEvent) -> None:
        """Drop what comes, and let the client send no more of it (RFC 9113 8.1)."""
        # Not before all of the answer is on its way.
        if isinstance(event, Body) and event.stream_id not in self._protocol.stream_buffers:
            with contextlib.suppress(StreamClosedError):
                self._protocol.connection.reset_stream(event.stream_id, ErrorCodes.NO_ERROR)


class _Server(TCPServer):
    """Hypercorn's server for one connection, with five corrections."""

    stream: Any
    stopping: trio.Event

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, Updated) and event.idle and isinstance(self.stream, Borrowed):
            # Answered, and the connection can be kept: by us, so no idle time-out is started.
            self.stream.finished.set()
            return
        await super().protocol_send(event)

    async def _read_data(self) -> None:
        await super()._read_data()
        # It would sleep on, and ``run`` with it, for the whole keep-alive time.
        await self.idle_task.stop()

    async def _idle_timeout(self) -> None:
        # Not Hypercorn's own ``terminated``: with that set, HTTP/2 says goodbye before the answer in progress has ended.
        with trio.move_on_after(self.config.keep_alive_timeout):
            await self.stopping.wait()
            await trio.sleep(LAST_WORD_S)
        with trio.CancelScope(shield=True):  # sends at most, and ``Bounded`` bounds that
            await self._initiate_server_close()

    @property
    def protocol(self) -> ProtocolWrapper:
        return self._protocol

    @protocol.setter
    def protocol(self, protocol: ProtocolWrapper) -> None:
        self._protocol = protocol
        if isinstance(protocol.protocol, H2Protocol):
            protocol.protocol.streams = _Streams(protocol.protocol)
            # Without RFC 8441, which Hypercorn offers: browsers would send their WebSockets through HTTP/2, past our door.
            config = self.config
            protocol.protocol.connection.local_settings = Settings(
                client=False,
                initial_values={
                    SettingCodes.MAX_CONCURRENT_STREAMS: config.h2_max_concurrent_streams,
                    SettingCodes.MAX_HEADER_LIST_SIZE: config.h2_max_header_list_size,
                },
            )


class Web:
    """The Quart app behind Hypercorn.

    Args:
        app: an ASGI application.
        streamed: a path below which the bodies of PUTs are handed over as they come, whatever their size; the
            app bounds them.
    """

    def __init__(self, app: Any, *, http: Http, streamed: str | None = None) -> None:
        self._streamed = streamed
        self._config = HypercornConfig()
        self._config.include_server_header = False
        self._config.keep_alive_timeout = http.keep_alive_s
        self._config.h11_max_incomplete_size = http.head_bytes
        self._config.accesslog = None
        self._app = wrap_app(app, http.body_bytes, "asgi")
        self._context = WorkerContext(None)
        self._stopping = trio.Event()
        self._write_s = http.write_s
        self._body_bytes = http.body_bytes

    async def serve(self, connection: HttpConnection, head: Head) -> bool:
        """Answer the request that begins with ``head``; True if the connection can take another."""
        rest: float
        if head.length is None:
            first, rest = head.raw + connection.take_buffer(), math.inf
        elif head.method == "PUT" and self._streamed and head.path.startswith(self._streamed):
            begun = connection.take_buffer(head.length)
            first, rest = head.raw + begun, head.length - len(begun)
        else:
            # With the whole body at hand Hypercorn can recycle the connection however early the app answers.
            body = await connection.body(head, self._body_bytes)
            first, rest = _OURS.sub(b"", head.raw) + body, 0
        borrowed = Borrowed(connection, first, rest=rest, write_s=self._write_s)
        return await self._run(borrowed)

    async def serve_http2(self, connection: HttpConnection) -> None:
        """Serve a connection that negotiated HTTP/2, to its end."""
        await self._run(Bounded(connection, write_s=self._write_s))

    async def _run(self, stream: Bounded) -> bool:
        """Let Hypercorn serve; True if the connection can be kept."""
        kept = False
        async with trio.open_nursery() as nursery:

            async def abandon_when_cancelled() -> None:
                try:
                    await trio.sleep_forever()
                finally:
                    stream.abandon()  # reaches the write that Hypercorn shields

            nursery.start_soon(abandon_when_cancelled)
            state: LifespanState = {}
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                server = _Server(self._app, self._config, self._context, state, stream)  # type: ignore[arg-type]
                server.stopping = self._stopping
                await server
            kept = not stream.closed
            nursery.cancel_scope.cancel()
        return kept

    def stop(self) -> None:
        """Let HTTP/2 connections end as soon as they are idle."""
        self._stopping.set()
