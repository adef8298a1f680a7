"""WebSocket frames, server side: bytes in, messages out, and back (RFC 6455, section numbers are its own).

::

    bytes ──▶ header ──▶ payload, piece by piece ──▶ message ──▶ str | bytes
                 │                 └─ control frame ──────────▶ Ping | Pong | Close
                 └─ any violation ─────────────────────────────▶ Failure, after which nothing is read

The reader is strict: whatever the RFC forbids a client is a :class:`Failure`. It never raises, and what it
returns depends on the bytes alone, not on how they were cut. The frame that nearly all clients send, one
short whole text, has a way of its own, at a quarter of the price.
"""

from __future__ import annotations

from codecs import utf_8_decode
from typing import Final, TypeAlias

import msgspec

from gateway.wire.deflate import CorruptData, TooLong, deflate, inflate

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without the C extension
    from websockets.utils import apply_mask

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

NORMAL_CLOSURE: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
UNSUPPORTED_DATA: Final = 1003
INVALID_DATA: Final = 1007
POLICY_VIOLATION: Final = 1008
MESSAGE_TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011
TRY_AGAIN_LATER: Final = 1013

# What a close frame may carry: those of 7.4.1 that are meant for the wire, 1012 to 1014 from IANA's registry,
# and 3000 to 4999 for libraries and applications (7.4.2).
_CLOSE_CODES: Final = frozenset((*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)))

_FIN: Final = 0x80
_RSV1: Final = 0x40
_RSV2_RSV3: Final = 0x30
_MASKED: Final = 0x80
_LARGEST_CONTROL: Final = 125
_SHORT_TEXT: Final = tuple(bytes((_FIN | TEXT, size)) for size in range(126))  # headers, by length
_WHOLE_MESSAGES: Final = (_FIN | TEXT, _FIN | BINARY)


class Ping(msgspec.Struct, frozen=True, gc=False):
    """Answer it with a pong of the same payload (5.5.2)."""

    payload: bytes


class Pong(msgspec.Struct, frozen=True, gc=False):
    """An answer to a ping, or unasked for (5.5.3)."""

    payload: bytes


class Close(msgspec.Struct, frozen=True, gc=False):
    """The peer closes (5.5.1): answer with the same code, then end the connection. Nothing after it is read.

    Attributes:
        code: None when the frame was empty.
    """

    code: int | None
    reason: str


class Failure(msgspec.Struct, frozen=True, gc=False):
    """The peer broke the protocol: send a close frame with these and end the connection (7.1.7).

    Attributes:
        code: 1002 (broken rule), 1007 (text that is not UTF-8) or 1009 (too big).
        reason: one short English phrase, always the same for the same fault.
    """

    code: int
    reason: str


Item: TypeAlias = str | bytes | Ping | Pong | Close | Failure


class _Violation(Exception):
    """How the inside of the reader says that it must stop."""

    def __init__(self, reason: str, code: int = PROTOCOL_ERROR) -> None:
        self.failure = Failure(code, reason)


class _Frame:
    """A frame whose header is complete and whose payload is not.

    Attributes:
        mask: turned so that its first byte belongs to the next byte that arrives.
        missing: bytes of payload still to come.
        control: the payload so far, for a control frame; that of a data frame goes straight to its message.
    """

    __slots__ = ("control", "first", "mask", "missing")

    def __init__(self, first: int, mask: bytes, missing: int) -> None:
        self.first = first
        self.mask = mask
        self.missing = missing
        self.control = b""


class _Message:
    """A message of which some frames, or some bytes, are still to come.

    Attributes:
        body: what came so far, unmasked, still compressed if it is. One growing array: a list of pieces would
            cost many times the payload when they are single bytes.
        verified: how many bytes of ``body`` are known to be whole characters.
        frames: how many frames it has taken.
    """

    __slots__ = ("body", "compressed", "frames", "is_text", "verified")

    def __init__(self, *, is_text: bool, compressed: bool) -> None:
        self.body = bytearray()
        self.compressed = compressed
        self.frames = 1
        self.is_text = is_text
        self.verified = 0

    def add(self, piece: bytes) -> None:
        """Append unmasked payload; text must be UTF-8 as far as it goes (8.1)."""
        self.body += piece
        if self.is_text and not self.compressed:
            try:
                self.verified += utf_8_decode(self.body[self.verified :], "strict", False)[1]
            except UnicodeDecodeError:
                raise _Violation("text is not UTF-8", INVALID_DATA) from None

    def complete(self, max_message: int) -> str | bytes:
        """The message, inflated if it is compressed; its text must be UTF-8 to the end."""
        data = bytes(self.body)
        if self.compressed:
            try:
                data = inflate(data, max_message)
            except CorruptData:
                raise _Violation("compressed data is corrupt") from None
            except TooLong:
                raise _Violation("message too big", MESSAGE_TOO_BIG) from None
        return _text(data) if self.is_text else data


class FrameReader:
    """Turns the bytes of one client into messages.

    Args:
        max_message: largest message in bytes, on the wire and inflated; a larger one fails with 1009 as soon
            as a header announces it, before its payload is kept.
        max_fragments: most frames in one message.
        inflate: whether permessage-deflate was negotiated, with ``client_no_context_takeover``.

    Attributes:
        short_below: whole text frames of fewer bytes than this, header included, and of at most 125 of payload may be read
            by anybody, without the reader. 0 while something is pending, and after the end.
    """

    __slots__ = (
        "_frame",
        "_inflate",
        "_max_fragments",
        "_max_message",
        "_message",
        "_rest",
        "_stopped",
        "short_below",
    )

    def __init__(self, *, max_message: int, max_fragments: int = 65_536, inflate: bool = False) -> None:
        self._max_message = max_message
        self._max_fragments = max_fragments
        self._inflate = inflate
        self._frame: _Frame | None = None
        self._message: _Message | None = None
        self._rest = b""  # a header that is not complete: less than 14 bytes
        self._stopped = False
        self.short_below = min(max_message, 125) + 7

    def feed(self, data: bytes) -> list[Item]:
        """The items that these bytes complete, in order; after a Close or a Failure nothing is read."""
        size = len(data)
        # One whole text frame of at most 125 bytes and nothing else: FIN and TEXT in the first byte, MASK and
        # a length of size - 6 in the second (0x80 + size - 6 = size + 122), four bytes of mask, the payload.
        if 5 < size < self.short_below and data[0] == 0x81 and data[1] - size == 122:
            try:
                return [apply_mask(data[6:], data[2:6]).decode()]
            except UnicodeDecodeError:
                pass  # the long way comes to the same, and says so properly
        if self._stopped:
            return []
        items: list[Item] = []
        self.short_below = 0
        try:
            self._rest = self._read(self._rest + data if self._rest else data, items)
        except _Violation as violation:
            items.append(violation.failure)
            self._stop()
        if not (self._rest or self._frame or self._message or self._stopped):
            self.short_below = min(self._max_message, 125) + 7
        return items

    def _stop(self) -> None:
        self._stopped = True
        self._rest = b""
        self._frame = self._message = None

    def _read(self, data: bytes, items: list[Item]) -> bytes:
        """Read all frames in ``data``; return the incomplete header at its end."""
        offset, end = 0, len(data)
        while not self._stopped:
            frame = self._frame
            if frame is None:
                if end - offset < 2:
                    return data[offset:]
                first, second = data[offset], data[offset + 1]
                self._check_header(first, second)
                length = second & 0x7F
                start = offset + (6 if length < 126 else 8 if length == 126 else 14)
                if end < start:
                    return data[offset:]
                if length > 125:
                    length = _extended_length(data[offset + 2 : start - 4])
                mask = data[start - 4 : start]
                offset = start + length
                if offset <= end and first in _WHOLE_MESSAGES and length <= self._max_message:
                    payload = apply_mask(data[start:offset], mask)
                    items.append(_text(payload) if first == _FIN | TEXT else payload)
                    continue
                self._open(first, length)
                frame = _Frame(first, mask, length)
                offset = start
            piece = data[offset : offset + frame.missing]
            offset += len(piece)
            self._take(frame, piece, items)
            if self._frame is not None:
                return b""
        return b""

    def _check_header(self, first: int, second: int) -> None:
        """What two bytes can tell (5.2, 5.4, 5.5); ``_open`` checks what needs the length."""
        opcode = first & 0x0F
        if not second & _MASKED:
            raise _Violation("client frames must be masked")
        if first & _RSV2_RSV3 or (first & _RSV1 and not (self._inflate and opcode in (TEXT, BINARY))):
            raise _Violation("reserved bits are set")
        if opcode in (TEXT, BINARY):
            if self._message is not None:
                raise _Violation("new message inside a fragmented one")
        elif opcode == CONTINUATION:
            if self._message is None:
                raise _Violation("continuation of nothing")
        elif opcode not in (CLOSE, PING, PONG):
            raise _Violation("reserved opcode")
        elif not first & _FIN:
            raise _Violation("fragmented control frame")
        elif second & 0x7F > _LARGEST_CONTROL:
            raise _Violation("control frame over 125 bytes")

    def _open(self, first: int, length: int) -> None:
        """Start or continue the message that a data frame belongs to, if there is room for it."""
        opcode = first & 0x0F
        if opcode >= CLOSE:
            return
        message = self._message
        if length + (len(message.body) if message else 0) > self._max_message:
            raise _Violation("message too big", MESSAGE_TOO_BIG)
        if message is None:
            self._message = _Message(is_text=opcode == TEXT, compressed=bool(first & _RSV1))
            return
        message.frames += 1
        if message.frames > self._max_fragments:
            raise _Violation("message in too many fragments", MESSAGE_TOO_BIG)

    def _take(self, frame: _Frame, piece: bytes, items: list[Item]) -> None:
        """Take payload of the open frame, and whatever it completes."""
        payload = apply_mask(piece, frame.mask)
        frame.missing -= len(piece)
        whole = frame.missing == 0
        self._frame = None if whole else frame
        if not whole and (turn := len(piece) & 3):
            frame.mask = frame.mask[turn:] + frame.mask[:turn]
        message = self._message
        if frame.first & 0x0F >= CLOSE:
            frame.control += payload  # at most 125 bytes
            if whole:
                self._control(frame.first & 0x0F, frame.control, items)
        elif message is not None:
            message.add(payload)
            if whole and frame.first & _FIN:
                self._message = None
                items.append(message.complete(self._max_message))

    def _control(self, opcode: int, payload: bytes, items: list[Item]) -> None:
        if opcode == CLOSE:
            items.append(_parse_close(payload))
            self._stop()
        else:
            items.append(Ping(payload) if opcode == PING else Pong(payload))


def _extended_length(field: bytes) -> int:
    """The length in 2 or 8 bytes: the shortest form that holds it, highest bit clear (5.2)."""
    length = int.from_bytes(field, "big")
    if length >> 63:
        raise _Violation("highest bit of the length is set")
    if length < (126 if len(field) == 2 else 65_536):
        raise _Violation("length is not in its shortest form")
    return length


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _Violation("text is not UTF-8", INVALID_DATA) from None


def _parse_close(payload: bytes) -> Close:
    if not payload:
        return Close(None, "")
    if len(payload) == 1:
        raise _Violation("close frame with half a code")
    code = int.from_bytes(payload[:2], "big")
    if code not in _CLOSE_CODES:
        raise _Violation("close code is not allowed")
    return Close(code, _text(payload[2:]))


def frame(opcode: int, payload: bytes) -> bytes:
    """A whole, unmasked frame, as a server sends it (5.2). A control frame's payload is at most 125 bytes."""
    return _serialize(_FIN | opcode, payload)


def text_frame(payload: bytes) -> bytes:
    """A whole text message; ``payload`` is its UTF-8."""
    size = len(payload)
    return _SHORT_TEXT[size] + payload if size < 126 else _serialize(_FIN | TEXT, payload)


def deflated_frame(opcode: int, payload: bytes) -> bytes:
    """A whole compressed message (RFC 7692); all clients that negotiated it as we do may share the bytes."""
    return _serialize(_FIN | _RSV1 | opcode, deflate(payload))


def payloads(frames: bytes) -> list[tuple[int, bytes]]:
    """The opcode and payload of each of these whole, unmasked, uncompressed frames: what ``frame`` made, taken apart."""
    found, offset = [], 0
    while offset < len(frames):
        first, size = frames[offset], frames[offset + 1]
        start = offset + (2 if size < 126 else 4 if size == 126 else 10)
        if size > 125:
            size = int.from_bytes(frames[offset + 2 : start], "big")
        offset = start + size
        found.append((first & 0x0F, frames[start:offset]))
    return found


def close_frame(code: int | None, reason: str = "") -> bytes:
    """A close frame (5.5.1), its reason cut at a character's end to what fits; no code means no reason."""
    if code is None:
        return frame(CLOSE, b"")
    told = reason.encode("utf-8", "replace")[: _LARGEST_CONTROL - 2].decode("utf-8", "ignore")
    return frame(CLOSE, code.to_bytes(2, "big") + told.encode())


def _serialize(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65_536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload
