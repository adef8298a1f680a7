"""An outbound packet, encoded and framed once and shared by every socket that gets it.

The same object serves WebSocket (``frame``), long-polling (``packet``) and connections that negotiated permessage-deflate
(``deflated``, made when first asked for). Nothing per recipient is ever encoded, copied or allocated.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.wire.engineio import encode_binary, encode_payload
from gateway.wire.frames import BINARY, TEXT, deflated_frame, frame, text_frame


class Prepared:
    """One or more Engine.IO packets in every form a transport needs.

    Attributes:
        packet: as in a polling payload (several packets joined by 0x1e).
        frame: as WebSocket frames, unmasked, one after the other.
    """

    __slots__ = ("_apart", "_deflated", "_offset", "_parts", "frame", "packet")

    def __init__(self, packet: bytes, frame: bytes, parts: Sequence[tuple[int, bytes]]) -> None:
        self.packet = packet
        self.frame = frame
        self._parts = parts
        self._deflated: bytes | None = None
        self._offset = b""
        self._apart: Prepared | None = None

    @property
    def deflated(self) -> bytes:
        """The frames compressed without context takeover (RFC 7692 7.1.1.1), so that all may share them."""
        if self._deflated is None:
            self._deflated = b"".join([deflated_frame(opcode, payload) for opcode, payload in self._parts])
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
    return Prepared(packet, text_frame(packet), ((TEXT, packet),))


def prepare_binary(data: bytes) -> Prepared:
    """An Engine.IO binary message: raw over WebSocket, ``b`` and base64 in a polling payload."""
    return Prepared(encode_binary(data), frame(BINARY, data), ((BINARY, data),))


def prepare_control(control_frame: bytes) -> Prepared:
    """A control frame of the WebSocket itself: never compressed (RFC 7692 5), unknown to polling."""
    item = Prepared(b"", control_frame, ())
    item._deflated = control_frame
    return item


def join(items: Sequence[Prepared]) -> Prepared:
    """Several packets as one unit that is queued and written together."""
    if len(items) == 1:
        return items[0]
    return Prepared(
        encode_payload([item.packet for item in items]),
        b"".join([item.frame for item in items]),
        [part for item in items for part in item._parts],
    )


def part(items: list[Prepared], most: int) -> tuple[list[Prepared], list[Prepared]]:
    """The first ``most`` packets, at least two, and the rest; an event and its offset behind it stay together."""
    count = 0
    for index, item in enumerate(items):
        count += len(item._parts)
        if count > most and len(item._parts) == 2:
            return items[:index], items[index:]
        if count > most:
            singles = [
                prepare_text(data) if opcode == TEXT else prepare_binary(data) for opcode, data in item._parts
            ]
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
        prepared = prepare_text(b'42["%b",%b%b' % (name.encode(), payload, tail))
        prepared._offset = tail
        return prepared
    return prepare_text(b'42["%b",%b]' % (name.encode(), payload))
