"""The client's side of a WebSocket, by hand: any frame, also those that no client library would send."""

from __future__ import annotations

from itertools import cycle

from gateway.wire.frames import FrameReader, Item

MASK = bytes.fromhex("37fa213d")


def masked(first: int, payload: bytes = b"", *, mask: bytes = MASK) -> bytes:
    """A client frame; ``first`` is its first byte: FIN 0x80, RSV1 0x40, RSV2 0x20, RSV3 0x10, opcode."""
    size = len(payload)
    if size < 126:
        length = bytes((0x80 | size,))
    elif size < 65_536:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    return bytes((first,)) + length + mask + bytes(a ^ b for a, b in zip(payload, cycle(mask), strict=False))


def read(
    *pieces: bytes, max_message: int = 1_000_000, max_fragments: int = 65_536, inflate: bool = False
) -> list[Item]:
    """What a new reader makes of these pieces, fed one after the other."""
    reader = FrameReader(max_message=max_message, max_fragments=max_fragments, inflate=inflate)
    return [item for piece in pieces for item in reader.feed(piece)]


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]
