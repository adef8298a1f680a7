"""From an upgrade request to an established link: the handshake (RFC 6455 section 4), by ``websockets``' sans-I/O core.

What nearly all clients ask, where compression is off, is answered in a way of its own: a tenth of the price, which is felt
when everybody connects at once.
"""

from __future__ import annotations

import re
from typing import Final

from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request as Handshake
from websockets.server import ServerProtocol
from websockets.utils import accept_key

from gateway.delivery.outbox import Outbox
from gateway.delivery.timers import Wheel
from gateway.net.heads import Head
from gateway.net.http import HttpConnection
from gateway.net.multiplexer import Multiplexer
from gateway.net.ports import Receiver
from gateway.net.stream import PlainStream
from gateway.net.streamed import Streamed
from gateway.wire.frames import FrameReader
from gateway.wire.http import Response

_KEY: Final = re.compile(r"[0-9A-Za-z+/]{22}==")  # 16 bytes

_SWITCHING: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %b\r\n\r\n"
)


class WebSockets:
    """Accepts upgrades and puts the connection on its carrier.

    Args:
        message_bytes: the longest message taken from a client; over it the connection ends with 1009.
        fragments: the most frames of one message.
        deflate: negotiate permessage-deflate, without context takeover either way.
    """

    def __init__(
        self,
        *,
        multiplexer: Multiplexer,
        wheel: Wheel,
        message_bytes: int,
        fragments: int,
        close_s: float,
        write_s: float,
        deflate: bool,
    ) -> None:
        self._multiplexer = multiplexer
        self._wheel = wheel
        self._message_bytes = message_bytes
        self._fragments = fragments
        self._close_s = close_s
        self._write_s = write_s
        self._deflate = deflate

    @property
    def established(self) -> int:
        """Links on the multiplexer."""
        return self._multiplexer.count

    def hurry(self) -> None:
        """Write what a few links wait for before anything else is done: see ``Writing.hurry``."""
        self._multiplexer.writing.hurry()

    def handshake(self, head: Head) -> tuple[bytes, bool] | Response:
        """The 101 answer and whether compression was agreed on, or why there is none."""
        if not self._deflate and _is_usual(head):
            return _SWITCHING % accept_key(head.headers["sec-websocket-key"]).encode(), False
        headers = Headers(head.headers)
        if not self._deflate or not self._shares_window(headers):
            headers.pop("Sec-WebSocket-Extensions", None)
        protocol = ServerProtocol(
            extensions=[
                ServerPerMessageDeflateFactory(
                    server_no_context_takeover=True, client_no_context_takeover=True
                )
            ]
        )
        answer = protocol.accept(Handshake(f"{head.path}?{head.query}", headers, method=head.method))
        if answer.status_code != 101:
            return Response(
                answer.status_code,
                bytes(answer.body or b""),
                content_type="text/plain; charset=utf-8",
                headers=[
                    ("Sec-WebSocket-Version", "13"),  # what is spoken here (RFC 6455 4.2.2)
                    *((k, v) for k, v in answer.headers.raw_items() if k in ("Upgrade", "Allow")),
                ],
                close=True,
            )
        return answer.serialize(), bool(protocol.extensions)

    def _shares_window(self, headers: Headers) -> bool:
        # Frames are compressed once and shared, so a client that asks for a smaller window than zlib's own is served
        # uncompressed (RFC 7692 7.1.2.1 lets the server decline).
        offer = headers.get("Sec-WebSocket-Extensions")
        return offer is not None and "server_max_window_bits" not in offer

    async def serve(
        self, connection: HttpConnection, answer: bytes, receiver: Receiver, outbox: Outbox, *, deflate: bool
    ) -> bool:
        """Complete the handshake and carry the WebSocket.

        Returns:
            True when the connection has moved to the multiplexer and is no longer the caller's; False when it is over.
        """
        reader = FrameReader(max_message=self._message_bytes, max_fragments=self._fragments, inflate=deflate)
        stream = connection.stream
        try:
            await stream.send_all(answer)
        except BaseException:
            receiver.lost("transport error")
            raise
        connection.forget()
        early = connection.take_buffer()
        if isinstance(stream, PlainStream):
            self._multiplexer.adopt(
                stream.detach(), reader=reader, receiver=receiver, outbox=outbox, deflate=deflate, early=early
            )
            return True
        link = Streamed(
            stream,
            reader=reader,
            receiver=receiver,
            outbox=outbox,
            wheel=self._wheel,
            close_s=self._close_s,
            write_s=self._write_s,
            deflate=deflate,
        )
        await link.run(early)
        return False


def _is_usual(head: Head) -> bool:
    """Whether this is an upgrade that nothing can be said against, by the letter of most clients (4.2.1)."""
    headers = head.headers
    return (
        head.method == "GET"
        and head.version == "1.1"
        and headers.get("connection") == "Upgrade"
        and headers.get("upgrade") == "websocket"
        and headers.get("sec-websocket-version") == "13"
        and "sec-websocket-protocol" not in headers
        and _KEY.fullmatch(headers.get("sec-websocket-key", "")) is not None
    )
