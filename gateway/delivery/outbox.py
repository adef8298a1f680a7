"""What is queued for one client, bounded in bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from gateway.wire.prepared import Prepared


class Carrier(Protocol):
    """Whoever writes an outbox to the network: a multiplexed socket, a TLS stream, a waiting poll."""

    def wake(self) -> None:
        """The outbox has become non-empty. Called once per emptying; must not wait or write."""
        ...


class Overflow(Protocol):
    """Whoever ends a client that has fallen too far behind."""

    def overflow(self) -> None: ...


class Outbox:
    """A bounded queue of prepared packets with one reader; it outlives the transport (an upgrade changes the carrier).

    Args:
        limit_bytes: how far behind a client may fall, beyond what the kernel buffers. Bytes, not packets: memory is what
            runs out. The overflow rule: the client is disconnected as slow, and nobody else waits.
        owner: told, once, when the limit is passed. Forgotten with the carrier once nothing more is taken.

    Attributes:
        apart: the offsets of events go out behind them, not in them (see ``Prepared.apart``); the carrier's to do.
        queue: what no transport has taken yet.
        size: bytes queued or taken but not yet written; the carrier lowers it as it writes.
    """

    __slots__ = ("apart", "carrier", "closed", "limit_bytes", "owner", "queue", "size")

    def __init__(self, limit_bytes: int, owner: Overflow, *, apart: bool = False) -> None:
        self.apart = apart
        self.limit_bytes = limit_bytes
        self.owner: Overflow | None = owner
        self.carrier: Carrier | None = None
        self.queue: list[Prepared] = []
        self.size = 0
        self.closed = False

    def put(self, item: Prepared) -> None:
        """Queue one packet, which is shared between clients, never copied. Never raises, never waits."""
        if self.closed:
            return
        size = self.size + len(item.frame)
        if size > self.limit_bytes:
            self.closed = True
            if self.owner is not None:
                self.owner.overflow()
            return
        self.size = size
        queue = self.queue
        queue.append(item)
        if len(queue) == 1 and self.carrier is not None:
            self.carrier.wake()

    @staticmethod
    def put_all(outboxes: Iterable[Outbox], item: Prepared) -> None:
        """``put`` on each of many, without a call for each: the inner loop of fan-out."""
        length = len(item.frame)
        for outbox in outboxes:
            size = outbox.size + length
            if outbox.closed or size > outbox.limit_bytes:
                outbox.put(item)
                continue
            outbox.size = size
            queue = outbox.queue
            queue.append(item)
            if len(queue) == 1 and outbox.carrier is not None:
                outbox.carrier.wake()

    def put_transient(self, item: Prepared) -> None:
        """Queue a packet that is worth nothing late (typing): dropped first when the client lags."""
        if self.size * 4 < self.limit_bytes:
            self.put(item)

    def take(self) -> list[Prepared]:
        """Hand everything queued to the carrier; ``size`` still counts it."""
        taken, self.queue = self.queue, []
        return taken

    def close(self) -> None:
        """Take nothing more. What is queued may still be written."""
        self.closed = True
        self.owner = self.carrier = None
