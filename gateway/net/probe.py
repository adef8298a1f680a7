"""The upgrade from polling to a WebSocket, until it is decided (Engine.IO 4)."""

from __future__ import annotations

from gateway.delivery.outbox import Outbox
from gateway.delivery.timers import Timer, Wheel
from gateway.net.engine import EngineSession, State
from gateway.net.links import Link
from gateway.wire.prepared import prepare_text


class Probe:
    """A second transport under test: a WebSocket opened with the sid of a polling session.

    ``2probe`` is answered ``3probe`` and releases the waiting poll; ``5`` moves the session over. Anything else, a session
    that has moved meanwhile, or ``upgrade_s`` without a ``5``, ends this link and leaves the session alone.
    """

    __slots__ = ("_deadline", "_link", "_probing", "_session", "_wheel", "outbox")

    UPGRADE_S = 10.0
    """Socket.IO's own upgradeTimeout."""

    def __init__(self, session: EngineSession, wheel: Wheel) -> None:
        self.outbox = Outbox(1_024, self)
        self._session = session
        self._wheel = wheel
        self._link: Link | None = None
        self._deadline: Timer | None = None
        self._probing = False

    def attached(self, link: Link) -> None:
        self._link = link
        self._session.probes += 1
        self.outbox.carrier = link
        self._deadline = self._wheel.after(self.UPGRADE_S, link.close, 1000, "upgrade timeout")
        if self._session.state is not State.POLLING:
            link.close(1000, "already upgraded")

    def text(self, packet: str) -> None:
        link, session = self._link, self._session
        assert link is not None
        if packet == "2probe" and session.state is State.POLLING:
            self.outbox.put(prepare_text(b"3probe"))
            session.probed()
            self._probing = True
        elif packet == "5" and self._probing and session.state is State.PROBING:
            self._withdraw()
            queued = self.outbox.take()
            link.receiver = session
            link.outbox = session.outbox
            session.outbox.queue[:0] = queued
            session.attached(link)
        else:
            link.close(1000, "parse error")

    def binary(self, message: bytes) -> None:
        assert self._link is not None
        self._link.close(1003, "parse error")

    def lost(self, reason: str) -> None:
        if self._deadline is None:
            return  # the handshake came to nothing
        self._withdraw()
        if self._probing:
            self._session.unprobed()

    def _withdraw(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._session.probes -= 1

    def overflow(self) -> None:
        link = self._link
        assert link is not None
        self._wheel.after(0, link.abort, "slow consumer")
