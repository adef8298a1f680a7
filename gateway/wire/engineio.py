"""Engine.IO 4 packets and polling payloads: text and bytes to records, and back.

A packet is one type character and its data, as text. A binary packet is always a message; over a WebSocket it
is the bytes alone, in a polling payload ``b`` and their base64. A payload is packets joined by 0x1e.

Outgoing text is UTF-8 ``bytes``, ready for a text frame and a payload alike.
"""

from __future__ import annotations

from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

OPEN: Final = "0"
CLOSE: Final = "1"
PING: Final = "2"
PONG: Final = "3"
MESSAGE: Final = "4"
UPGRADE: Final = "5"
NOOP: Final = "6"

SEPARATOR: Final = b"\x1e"

_TYPES: Final = frozenset((OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP))


class ProtocolError(Exception):
    """The peer sent what Engine.IO or Socket.IO does not allow: close its connection, or answer 400.

    Args:
        reason: a stable word for logs and close frames, e.g. ``"empty_packet"``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"Malformed packet: {reason.replace('_', ' ')}")
        self.reason = reason


class Packet(msgspec.Struct, frozen=True, gc=False):
    """One Engine.IO packet.

    Attributes:
        type: one of the constants of this module.
        data: what follows the type; bytes for a binary message.
    """

    type: str
    data: str | bytes = ""


def decode_packet(packet: str | bytes) -> Packet:
    """A packet as a WebSocket message carries it.

    Raises:
        ProtocolError: ``empty_packet`` or ``unknown_packet_type``.
    """
    if isinstance(packet, bytes):
        return Packet(MESSAGE, packet)
    kind = packet[:1]
    if kind not in _TYPES:
        raise ProtocolError("unknown_packet_type" if kind else "empty_packet")
    return Packet(kind, packet[1:])


def decode_payload(body: bytes, *, max_packets: int) -> list[Packet]:
    """The packets of a POST body, in order: all of them or an error.

    Args:
        max_packets: most packets in one payload; each costs far more than its bytes.

    Raises:
        ProtocolError: ``too_many_packets``, ``bad_utf8``, ``bad_base64``, and what ``decode_packet`` raises.
    """
    if body.count(SEPARATOR) >= max_packets:
        raise ProtocolError("too_many_packets")
    try:
        packets = body.decode().split("\x1e")
    except UnicodeDecodeError:
        raise ProtocolError("bad_utf8") from None
    return [decode_packet(_from_base64(packet) if packet[:1] == "b" else packet) for packet in packets]


def _from_base64(packet: str) -> bytes:
    try:
        return a2b_base64(packet[1:], strict_mode=True)
    except (Base64Error, ValueError):  # ValueError: a character that is not ASCII
        raise ProtocolError("bad_base64") from None


def encode_packet(packet_type: str, data: bytes = b"") -> bytes:
    """A text packet; ``data`` is UTF-8."""
    return packet_type.encode() + data


def encode_binary(data: bytes) -> bytes:
    """A binary message as a payload carries it; over a WebSocket ``data`` is sent as it is."""
    return b"b" + b64encode(data)


def encode_payload(packets: Iterable[bytes]) -> bytes:
    """The body of a poll answer."""
    return SEPARATOR.join(packets)


def open_packet(
    *, sid: str, upgrades: Sequence[str], ping_interval_ms: int, ping_timeout_ms: int, max_payload: int
) -> bytes:
    """The server's handshake. Times are milliseconds and ``max_payload`` is bytes; all go out as they are.

    Args:
        upgrades: transports the client may change to: ``["websocket"]`` over polling, none over a WebSocket.
    """
    handshake = {
        "sid": sid,
        "upgrades": upgrades,
        "pingInterval": ping_interval_ms,
        "pingTimeout": ping_timeout_ms,
        "maxPayload": max_payload,
    }
    return encode_packet(OPEN, msgspec.json.encode(handshake))
