"""Payloads of permessage-deflate (RFC 7692), each on its own: no context is taken over in any direction."""

from __future__ import annotations

import zlib
from typing import Final

# What a sender cuts off the end of a message and a receiver puts back (7.2.1, 7.2.2).
_EMPTY_BLOCK: Final = b"\x00\x00\xff\xff"
# A last block of nothing, which ends a deflate stream.
_LAST_BLOCK: Final = b"\x03\x00"


class CorruptData(Exception):
    """The payload is not what a deflate stream can end in."""


class TooLong(Exception):
    """The payload inflates to more than allowed."""


def inflate(payload: bytes, max_size: int) -> bytes:
    """A received message of at most ``max_size`` bytes; what goes beyond is not inflated (7.2.2).

    Raises:
        CorruptData: it is not deflate data, or ends in the middle of a block.
        TooLong: there is more than ``max_size``.
    """
    stream = zlib.decompressobj(wbits=-15)
    try:
        # The last block can only be reached when the payload ends where a block does.
        data = stream.decompress(payload + _EMPTY_BLOCK + _LAST_BLOCK, max_size + 1)
    except zlib.error as error:
        raise CorruptData from error
    if len(data) > max_size:
        raise TooLong
    # A sender may also end the stream itself, and then pads it with a zero byte (7.2.3.4).
    if not stream.eof or stream.unused_data not in (b"", b"\x00" + _EMPTY_BLOCK + _LAST_BLOCK):
        raise CorruptData
    return data


def deflate(data: bytes) -> bytes:
    """A message to send, compressed with a window of 15 bits (7.2.1).

    The same bytes are good for every client that negotiated ``server_no_context_takeover`` and did not ask
    for a smaller ``server_max_window_bits``.
    """
    stream = zlib.compressobj(wbits=-15)
    return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[: -len(_EMPTY_BLOCK)]
