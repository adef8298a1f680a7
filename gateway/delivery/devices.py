"""The other devices of a user: all of his connections but those of one session token (contract D6).

Which connection belongs to the device that has acted is told by the token's ``jti``. When that device is nowhere
connected it cannot be told apart from the others, and nobody is told anything. It may be connected to another node than
they are: whoever sees it says so to all, and each node tells those it holds.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from gateway.delivery.bus import Hear
from gateway.delivery.hub import Hub
from gateway.delivery.outbox import Outbox
from gateway.wire.prepared import prepare_event

TOPIC = "other-devices"


class Word(msgspec.Struct, frozen=True, array_like=True):
    """What nodes tell each other.

    Attributes:
        jti: of the device that is not told.
        seen: some node holds that device. Else it is asked for: who holds it says this word again.
    """

    tenant_id: str
    user_id: str
    jti: str
    event: str
    payload: bytes
    seen: bool


class Nodes(Protocol):
    """The other nodes; ``Peers`` is this."""

    def say(self, topic: str, body: bytes) -> None: ...
    def listen(self, topic: str, hear: Hear) -> None: ...


class OtherDevices:
    """Tells them. Synchronous; what a node misses is not made up for, as it holds for the moment only."""

    def __init__(self, *, hub: Hub, nodes: Nodes) -> None:
        self._hub = hub
        self._nodes = nodes
        self._decode = msgspec.msgpack.Decoder(Word).decode
        nodes.listen(TOPIC, self._hear)

    def tell(self, tenant_id: str, user_id: str, jti: str, event: str, payload: bytes) -> None:
        """Tell the user's devices but the one whose token has this ``jti``; none if that one is not connected.

        Args:
            payload: one JSON object.
        """
        self._spread(Word(tenant_id, user_id, jti, event, payload, self._holds(tenant_id, user_id, jti)))

    def _hear(self, node_id: str, body: bytes) -> None:
        word = self._decode(body)
        if word.seen:
            self._tell_here(word)
        elif self._holds(word.tenant_id, word.user_id, word.jti):
            self._spread(msgspec.structs.replace(word, seen=True))

    def _spread(self, word: Word) -> None:
        if word.seen:
            self._tell_here(word)
        self._nodes.say(TOPIC, msgspec.msgpack.encode(word))

    def _tell_here(self, word: Word) -> None:
        sessions = self._hub.sessions_of(word.tenant_id, (word.user_id,))
        others = [session.outbox for session in sessions if session.jti != word.jti]
        if others:
            Outbox.put_all(others, prepare_event(word.event, word.payload))

    def _holds(self, tenant_id: str, user_id: str, jti: str) -> bool:
        return any(session.jti == jti for session in self._hub.sessions_of(tenant_id, (user_id,)))
