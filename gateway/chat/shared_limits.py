"""One limit over all nodes, without asking anybody before an event.

Each node grants from its own buckets, and once a second tells the others what it has granted, which they take from theirs;
a bucket may go into debt by that. So the lasting rate is the configured one, whichever nodes a user comes by. What the
others do not know yet is how much too much there can be: with ``n`` nodes at most ``n - 1`` bursts, and ``n - 1`` times what
a second refills, once, to be paid back before anything more is granted. Who takes less than an eighth of his rate at a
node is not worth a word there: an eighth for each further node is what that may add.
"""

from __future__ import annotations

from itertools import islice

import msgspec
import trio

from gateway.chat.limits import Bucket, Limiter
from gateway.delivery.peers import Peers

TELL_S = 1.0
"""How often what was granted is told."""

WORTH_S = TELL_S / 8
"""What was taken from a bucket, in seconds of its refill, that is worth telling."""

PART = 1_000
"""Buckets in one signal, some 80 KB."""

_ENCODE = msgspec.msgpack.encode
_DECODE = msgspec.msgpack.Decoder(dict[Bucket, float]).decode


class SharedLimits:
    """Keeps a node's limiter and those of the others together."""

    def __init__(self, *, limiter: Limiter, peers: Peers) -> None:
        self._limiter = limiter
        self._peers = peers
        peers.listen("taken", self._taken)

    def _taken(self, node_id: str, body: bytes) -> None:
        for bucket, seconds in _DECODE(body).items():
            self._limiter.charge(bucket, seconds)

    async def run(self) -> None:
        """Tell the others what was granted here, for ever; nothing is counted while there are none."""
        while True:
            await trio.sleep(TELL_S)
            taken = self._limiter.what_was_taken(go_on=not self._peers.alone)
            worth = iter([(bucket, seconds) for bucket, seconds in taken.items() if seconds > WORTH_S])
            while part := dict(islice(worth, PART)):
                self._peers.say("taken", _ENCODE(part))
