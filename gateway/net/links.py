"""One established WebSocket (RFC 6455 sections 5 to 7), above the bytes and below Engine.IO.

A link reads frames, answers pings, carries out the closing handshake, and writes its outbox. What carries the bytes is the
subclass's: ``multiplexer.Multiplexed`` for plain TCP, ``streamed.Streamed`` for TLS.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from gateway.delivery.outbox import Outbox
from gateway.delivery.timers import Timer, Wheel
from gateway.net.ports import Receiver
from gateway.wire.frames import PONG, Close, Failure, FrameReader, Ping, close_frame, frame
from gateway.wire.prepared import Prepared


class Link(ABC):
    """One WebSocket.

    A link ends in one of two ways. ``close`` starts the closing handshake: what is queued and then a close frame are
    written, input is discarded, and the connection ends when the peer has ended it or after ``close_s``. ``abort`` drops
    it at once. Either way the receiver hears ``lost(reason)`` once, at the start.
    """

    __slots__ = (
        "_deadline",
        "_wheel",
        "close_s",
        "closing",
        "deflate",
        "outbox",
        "peer_closed",
        "reader",
        "receiver",
    )

    def __init__(
        self,
        *,
        reader: FrameReader,
        receiver: Receiver,
        outbox: Outbox,
        wheel: Wheel,
        close_s: float,
        deflate: bool,
    ) -> None:
        self.reader = reader
        self.receiver = receiver
        self.outbox = outbox
        self.close_s = close_s
        self.deflate = deflate
        self.closing = False
        self.peer_closed = False  # its close frame has come, or what broke the protocol
        self._wheel = wheel
        self._deadline: Timer | None = None

    def received(self, data: bytes) -> None:
        """Take what the network brought: hand messages up, answer control frames."""
        if self.closing:
            return
        for item in self.reader.feed(data):
            # The receiver is looked up for each, since an upgrade changes it between two items.
            if type(item) is str:
                self.receiver.text(item)
            elif type(item) is bytes:
                self.receiver.binary(item)
            elif isinstance(item, Ping):
                self.outbox.put(Prepared(frame(PONG, item.payload)))
            elif isinstance(item, Close):
                self.peer_closed = True
                # Echo the code (RFC 6455 5.5.1); a close frame without one is answered without one.
                self._end(close_frame(item.code), "transport close")
            elif isinstance(item, Failure):
                self.peer_closed = True
                self._end(close_frame(item.code, item.reason), f"parse error: {item.reason}")
            if self.closing:
                return

    def end_of_input(self) -> None:
        """The peer has closed its side, or the connection broke."""
        self.abort("transport close")

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake after everything queued so far."""
        self._end(close_frame(code, reason), reason)

    def _end(self, last: bytes, reason: str) -> None:
        if self.closing:
            return
        self.closing = True
        self.outbox.close()
        self._deadline = self._wheel.after(self.close_s, self.drop)
        self.receiver.lost(reason)
        self.finish(last)

    def abort(self, reason: str) -> None:
        """Drop the connection now."""
        if not self.closing:
            self.closing = True
            self.outbox.close()
            self.receiver.lost(reason)
        self.drop()

    def drop(self) -> None:
        """Give up the connection and everything unsent; harmless when done before."""
        if self._deadline is not None:
            self._deadline.cancel()
        self.release()

    def wire_bytes(self, items: list[Prepared]) -> bytes:
        """What these packets are on this connection; for a single one, the shared bytes themselves."""
        if self.outbox.apart:
            items = [item.apart for item in items]
        if self.deflate:
            return b"".join([item.deflated for item in items])
        return items[0].frame if len(items) == 1 else b"".join([item.frame for item in items])

    # what carries the bytes

    @abstractmethod
    def wake(self) -> None:
        """The outbox has something."""

    @abstractmethod
    def finish(self, last: bytes) -> None:
        """Write what is queued and then ``last``, end our side, and wait for the peer's end (``drop`` comes at the latest
        after ``close_s``)."""

    @abstractmethod
    def release(self) -> None:
        """Free the connection."""

    @abstractmethod
    def pause(self) -> None:
        """Stop reading: the client has too much in flight."""

    @abstractmethod
    def resume(self) -> None: ...
