"""An outbound packet, encoded and framed once and shared by every socket that gets it.

The same object serves WebSocket (``frame``), long-polling (``packet``) and connections that negotiated permessage-deflate
(``deflated``). On a WebSocket nothing per recipient is ever encoded, copied or allocated.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.wire.engineio import encode_binary, encode_payload
from gateway.wire.frames import BINARY, CLOSE, deflated_frame, frame, payloads, text_frame


class Prepared(msgspec.Struct, eq=False, gc=False):
    """One or more Engine.IO packets in every form a transport needs. Nearly all go out as ``frame``; the other forms are
    made from it when they are asked for.

    Attributes:
        frame: as WebSocket frames, unmasked, one after the other.
    """

    frame: bytes
    _offset: bytes = b""
    _deflated: bytes | None = None
    _apart: Prepared | None = None

    @property
    def packet(self) -> bytes:
        """As in a polling payload (several packets joined by 0x1e)."""
        return encode_payload(
            [encode_binary(data) if opcode == BINARY else data for opcode, data in payloads(self.frame)]
        )

    @property
    def deflated(self) -> bytes:
        """The frames compressed without context takeover (RFC 7692 7.1.1.1), so that all may share them; control frames
        never are (5)."""
        if self._deflated is None:
            self._deflated = b"".join(
                [
                    frame(opcode, payload) if opcode >= CLOSE else deflated_frame(opcode, payload)
                    for opcode, payload in payloads(self.frame)
                ]
            )
        return self._deflated

    @property
    def apart(self) -> Prepared:
        """The same with the offset in an event of its own behind it, for clients that a second argument would confuse: they
        take note of a string at the end of any event, and have no listener for this one."""
        if not self._offset:
            return self
        if self._apart is None:
            event = prepare_text(self.packet[: -len(self._offset)] + b"]")
            self._apart = join((event, prepare_text(b'42["offset"' + self._offset)))
        return self._apart


def prepare_text(packet: bytes) -> Prepared:
    """An Engine.IO text packet, its type character included: ``b'42["typing",{}]'``."""
    return Prepared(text_frame(packet))


def prepare_binary(data: bytes) -> Prepared:
    """An Engine.IO binary message: raw over WebSocket, ``b`` and base64 in a polling payload."""
    return Prepared(frame(BINARY, data))


def join(items: Sequence[Prepared]) -> Prepared:
    """Several packets as one unit that is queued and written together."""
    return items[0] if len(items) == 1 else Prepared(b"".join([item.frame for item in items]))


def part(items: list[Prepared], most: int) -> tuple[list[Prepared], list[Prepared]]:
    """The first ``most`` packets, at least two, and the rest; an event and its offset behind it stay together."""
    count = 0
    for index, item in enumerate(items):
        parts = payloads(item.frame)
        count += len(parts)
        if count > most and len(parts) == 2:
            return items[:index], items[index:]
        if count > most:
            singles = [Prepared(frame(opcode, data)) for opcode, data in parts]
            kept = len(singles) - (count - most)
            return [*items[:index], *singles[:kept]], [*singles[kept:], *items[index + 1 :]]
    return items, []


def prepare_event(name: str, payload: bytes, offset: str = "") -> Prepared:
    """A Socket.IO event with one argument on the root namespace; ``name`` is ours and needs no escaping.

    Args:
        offset: what a client that comes back will say was the last it got (contract D12), as a string behind the
            argument; it needs no escaping either.
    """
    if offset:
        tail = b',"%b"]' % offset.encode()
        return Prepared(text_frame(b'42["%b",%b%b' % (name.encode(), payload, tail)), tail)
    return prepare_text(b'42["%b",%b]' % (name.encode(), payload))


def prepare_ack(ack_id: int) -> Prepared:
    """The acknowledgment, without arguments, of an event on the root namespace."""
    return Prepared(text_frame(b"43%d[]" % ack_id))
