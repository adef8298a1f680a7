"""What goes over a shared bus: batches that only a node of this installation can have made, each taken once.

Whoever reaches the Redis server can publish there. A message therefore carries a keyed hash over everything it says and the
channel it was said on; the key is kept in the database, where only nodes can read it. What was copied off the bus and is
published again is known by its sequence number, or by its age. ::

    version · node id · sequence · sent at | keyed hash | items in CBOR
       1         8          8         8         16

Integers are big-endian. Sequence numbers rise within a channel and a node's life; ``sent at`` is milliseconds of the wall
clock, so that the clocks of all nodes must agree to within ``WINDOW_MS``.

A node that has just started has heard no numbers yet: for one window, what was overheard before can be played to it once. A
durable event does no harm then (``delivery/order`` has passed its number); who signals says himself what is out of date.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, NamedTuple

import cbor2

VERSION = 1
"""Of the layout above. Nodes of two of them are deaf to each other, so an upgrade to another cannot be done node by node.
What is said in an item may grow without it, at its end."""

HEADER = struct.Struct(">B8sQQ")
HASH_BYTES = 16
ARRAY, BREAK = b"\x9f", b"\xff"  # a CBOR array of as many items as come (RFC 8949 3.2.2)

WINDOW_MS = 60_000
"""How far a message's time may lie from ours. Longer than any pause that Redis survives with its connections, and than the
disagreement of clocks that are set at all."""

REMEMBERED = 100_000
"""Most (channel, node) pairs whose last sequence number is kept. Pairs silent for the window are forgotten first: what could
be played back from then is too old by itself."""


class Unsealed(Exception):
    """The message is not what a node of this installation would have sent here and now; the text is a statistics key."""


class Batch(NamedTuple):
    """A message that has been opened."""

    node_id: str
    sequence: int
    sent_ms: int
    items: list[Any]


encode_item = cbor2.dumps


def seal(
    secret: bytes, channel: bytes, *, node_id: str, sequence: int, sent_ms: int, items: Iterable[bytes]
) -> bytes:
    """Items, as ``encode_item`` gave them, as one message."""
    header = HEADER.pack(VERSION, bytes.fromhex(node_id), sequence, sent_ms)
    body = b"".join((ARRAY, *items, BREAK))
    return b"".join((header, _hash(secret, channel, header, body), body))


def sender(data: bytes) -> str:
    """The node that the message says it is from; empty if it says nothing of the kind. Nothing has been checked."""
    return data[1:9].hex() if len(data) > HEADER.size + HASH_BYTES and data[0] == VERSION else ""


def unseal(secret: bytes, channel: bytes, data: bytes) -> Batch:
    """The batch, of a known version and by a holder of the secret. It may still be an old one: ask ``Sequences``.

    Raises:
        Unsealed: ``unknown`` (another version of the gateway, or no message of ours) or ``forged``.
    """
    start = HEADER.size + HASH_BYTES
    if len(data) <= start or data[0] != VERSION:
        raise Unsealed("unknown")
    header, body = data[: HEADER.size], data[start:]
    if not hmac.compare_digest(data[HEADER.size : start], _hash(secret, channel, header, body)):
        raise Unsealed("forged")
    _, node, sequence, sent_ms = HEADER.unpack(header)
    return Batch(node.hex(), sequence, sent_ms, cbor2.loads(body))


def _hash(secret: bytes, channel: bytes, header: bytes, body: bytes) -> bytes:
    # The channel's length stands before it: no two (channel, header) pairs give the same bytes.
    mac = blake2b(len(channel).to_bytes(4, "big"), key=secret, digest_size=HASH_BYTES)
    mac.update(channel)
    mac.update(header)
    mac.update(body)
    return mac.digest()


class Sequences:
    """The last sequence number heard on each channel from each node."""

    def __init__(self) -> None:
        self._last: dict[tuple[bytes, str], tuple[int, int]] = {}  # -> sequence, when it was heard

    def check(self, channel: bytes, batch: Batch, *, now_ms: int) -> None:
        """Note the batch.

        Raises:
            Unsealed: ``replayed``: it, or a later one, has been here before; or ``stale``: its time is not now.
        """
        if abs(now_ms - batch.sent_ms) > WINDOW_MS:
            raise Unsealed("stale")
        key = (channel, batch.node_id)
        last = self._last.get(key)
        if last is not None and batch.sequence <= last[0]:
            raise Unsealed("replayed")
        if last is None and len(self._last) >= REMEMBERED:
            self._forget(now_ms)
        self._last[key] = (batch.sequence, now_ms)

    def _forget(self, now_ms: int) -> None:
        # 2: a message may be dated a window ahead of the time at which it was heard.
        self._last = {key: heard for key, heard in self._last.items() if now_ms - heard[1] <= 2 * WINDOW_MS}
        if len(self._last) >= REMEMBERED:
            oldest = sorted(self._last, key=lambda key: self._last[key][1])[: REMEMBERED // 10]
            for key in oldest:
                del self._last[key]
