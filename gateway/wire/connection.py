"""The Socket.IO connection table: which packet may come when (protocol revision 5).

Every namespace of a connection is in one of three states:

::

              CONNECT               accepted()
    ABSENT ─────────────▶ CONNECTING ─────────▶ CONNECTED ──┐ EVENT, ACK
       ▲                       │ refused()          │   ▲   │
       └───────────────────────┴────────────────────┘   └───┘
                     DISCONNECT, left()

What the table does not allow ends the whole connection, with a reason from this module or from ``ProtocolError``: an event
before CONNECT was answered, a second CONNECT on a connected namespace, a malformed packet, attachments nobody announced.
DISCONNECT leaves one namespace; the connection lives on.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Final

import msgspec

from gateway.wire.engineio import ProtocolError
from gateway.wire.socketio import (
    ACK,
    BINARY_ACK,
    BINARY_EVENT,
    CONNECT,
    CONNECT_ERROR,
    DISCONNECT,
    EVENT,
    Assembler,
    Packet,
    decode,
)

NAMESPACES: Final = 16
"""Bound on the namespaces one connection may use, by name; clients use one."""


class State(enum.Enum):
    ABSENT = "absent"
    CONNECTING = "connecting"
    CONNECTED = "connected"


class Close(msgspec.Struct, frozen=True):
    """The connection must end; ``reason`` is a stable word for logs."""

    reason: str


TRANSITIONS: Final[dict[tuple[State, int], State]] = {
    (State.ABSENT, CONNECT): State.CONNECTING,
    (State.CONNECTING, DISCONNECT): State.ABSENT,
    (State.CONNECTED, EVENT): State.CONNECTED,
    (State.CONNECTED, ACK): State.CONNECTED,
    (State.CONNECTED, DISCONNECT): State.ABSENT,
    # A client that leaves while the server refuses, or leaves twice, has done no harm.
    (State.ABSENT, DISCONNECT): State.ABSENT,
}

BINARY_TYPES: Final = frozenset((str(BINARY_EVENT), str(BINARY_ACK)))
"""How messages begin that attachments follow."""

REFUSALS: Final = {
    CONNECT: "already_connected",
    EVENT: "not_connected",
    ACK: "not_connected",
    CONNECT_ERROR: "unexpected_packet",
}
"""Why a packet that the table does not allow ends the connection."""


class Connection:
    """The state of one client's namespaces. Messages in, packets out; never raises, whatever comes.

    Args:
        max_attachments: most binary attachments of one packet.
        decode_event: see ``socketio.decode``.
    """

    __slots__ = ("_assembler", "_closed", "_decode_event", "_max_attachments", "_others", "_root")

    def __init__(self, *, max_attachments: int, decode_event: Callable[[str], Any] | None = None) -> None:
        self._root = State.ABSENT
        self._others: dict[str, State] | None = None  # made for clients that use further namespaces
        self._assembler: Assembler | None = None  # made for clients that send binary packets
        self._max_attachments = max_attachments
        self._decode_event = decode_event
        self._closed = False

    def receive(self, message: str | bytes) -> Packet | Close | None:
        """Take one Engine.IO message.

        Returns:
            The packet to act on; ``Close``, after which everything is ignored; None when attachments are still to come or
            there is nothing to do.
        """
        if self._closed:
            return None
        try:
            if self._assembler is None and isinstance(message, str) and message[:1] not in BINARY_TYPES:
                packet: Packet | None = decode(message, self._decode_event)
            else:
                packet = self._assemble(message)
        except ProtocolError as error:
            return self._close(error.reason)
        if packet is None:
            return None
        # An event on the connected root is nearly all there is.
        if packet.type == EVENT and packet.namespace == "/" and self._root is State.CONNECTED:
            return packet
        return self._step(packet)

    def _assemble(self, message: str | bytes) -> Packet | None:
        if self._assembler is None:
            self._assembler = Assembler(max_attachments=self._max_attachments)
        return self._assembler.text(message) if isinstance(message, str) else self._assembler.binary(message)

    def _step(self, packet: Packet) -> Packet | Close | None:
        before = self.state(packet.namespace)
        after = TRANSITIONS.get((before, packet.type))
        if after is None:
            return self._close(REFUSALS[packet.type])
        if after is not before:
            opens = after is State.CONNECTING and packet.namespace != "/"
            if opens and len(self._others or ()) >= NAMESPACES:
                return self._close("too_many_namespaces")
            self._set(packet.namespace, after)
        elif before is State.ABSENT:
            return None
        return packet

    def _close(self, reason: str) -> Close:
        self._closed = True
        return Close(reason)

    def state(self, namespace: str) -> State:
        if namespace == "/":
            return self._root
        return State.ABSENT if self._others is None else self._others.get(namespace, State.ABSENT)

    def _set(self, namespace: str, state: State) -> None:
        if namespace == "/":
            self._root = state
            return
        if self._others is None:
            self._others = {}
        if state is State.ABSENT:
            self._others.pop(namespace, None)
        else:
            self._others[namespace] = state

    def accepted(self, namespace: str) -> bool:
        """CONNECT has been answered; False if the client left meanwhile, and nothing must be sent."""
        if self.state(namespace) is not State.CONNECTING:
            return False
        self._set(namespace, State.CONNECTED)
        return True

    def refused(self, namespace: str) -> None:
        """CONNECT has been answered with an error."""
        self._set(namespace, State.ABSENT)

    def left(self, namespace: str) -> None:
        """The server has sent DISCONNECT."""
        self._set(namespace, State.ABSENT)
