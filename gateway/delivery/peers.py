"""The other nodes: who is alive, what they say to each other, and whether anything of it was lost.

A bus promises order but not arrival. So every signal of a node carries a number, each one more than the last, and a
heartbeat repeats the last number that was said: a node that was sent ten signals and got nine knows it within a heartbeat,
and asks for what it needs to be right again. What is said to nobody takes a number too, so that whoever was thought dead,
and was not, finds out that it was left out.

A node that has been silent for ``lease_s`` is gone; one that says goodbye is gone at once. If it speaks again it is new: all
that was known of it is asked for anew.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import TypeAlias

import msgspec
import structlog
import trio

from gateway.delivery.bus import Bus, Hear

BEATS = 5
"""Heartbeats in a lease: four may be lost in a row. With a lease of 5 s, what was lost is known within one."""

MOST = 1_024
"""Bound on the nodes that are kept account of; a gossip of all with all has ended long before."""

ANSWER_S = 0.2
"""How long the others may take to answer a greeting."""

ACQUAINTED_S = 2.0
"""How long, at most, a node that starts waits for what they say."""

NUMBER_BYTES = 8

Told: TypeAlias = Callable[[str], None]

log = structlog.get_logger(__name__)


class Address(msgspec.Struct, frozen=True, array_like=True):
    """Where a node takes connections, in its heartbeat. What a later version says behind it is left alone."""

    host: str
    port: int


_ADDRESS = msgspec.msgpack.Decoder(Address)


class Peer:
    """What is known of another node.

    Attributes:
        number: of the last signal that was heard from it.
        heard_at: when that was, or its last heartbeat.
        behind: something it said has been missed, and not been made good.
        address: where it takes connections of other nodes, as its heartbeat says; None before the first.
    """

    __slots__ = ("address", "behind", "heard_at", "number")

    def __init__(self, heard_at: float) -> None:
        self.number = 0
        self.heard_at = heard_at
        self.behind = False
        self.address: tuple[str, int] | None = None


class Peers:
    """This node's ear and voice among the others. Handlers are synchronous and must not raise.

    Args:
        lease_s: how long a node may be silent before it is taken for dead.
        address: where this node takes connections of the others; None if it does not.
    """

    def __init__(self, *, bus: Bus, lease_s: float, address: tuple[str, int] | None = None) -> None:
        self._bus = bus
        self._lease_s = lease_s
        self._address = b"" if address is None else msgspec.msgpack.encode(address)
        self._said = 0
        self._peers: dict[str, Peer] = {}
        self._on_missed: list[Told] = []
        self._on_gone: list[Told] = []
        self._missed = 0
        self._caught_up = trio.Event()
        bus.listen("alive", self._alive)
        bus.listen("goodbye", self._goodbye)
        bus.on_attached(self._greet)

    @property
    def node_id(self) -> str:
        """This node's own."""
        return self._bus.node_id

    @property
    def alone(self) -> bool:
        """Whether no other node is alive, as far as this one knows."""
        return not self._peers

    def address_of(self, node_id: str) -> tuple[str, int] | None:
        """Where a node takes connections of other nodes; None if that is not known, or it is gone."""
        peer = self._peers.get(node_id)
        return None if peer is None else peer.address

    def is_mine(self, key: str) -> bool:
        """Whether, of the living nodes, it is this one that looks after something of this name. One does, or for as long as
        the nodes do not agree on who is alive, none or two: for work that may be late and may be done twice."""
        mine = _weight(self.node_id, key)
        return all(_weight(node_id, key) < mine for node_id in self._peers)

    def on_missed(self, call: Told) -> None:
        """Call this with the id of a node when something it said has not arrived: after a loss, when it had said something
        before it was first heard, and with each heartbeat from then on until ``caught_up``. Nothing kept by its word can be
        trusted meanwhile."""
        self._on_missed.append(call)

    def on_gone(self, call: Told) -> None:
        """Call this with the id of a node that is dead or has said goodbye."""
        self._on_gone.append(call)

    def caught_up(self, node_id: str) -> None:
        """What this node has said is known again."""
        peer = self._peers.get(node_id)
        if peer is not None:
            peer.behind = False
            self._caught_up.set()
            self._caught_up = trio.Event()

    async def wait_acquainted(self) -> None:
        """Wait until what the other nodes say is known, so that no client is told less; but not for ever: who is dead does
        not answer. For a node that has just greeted, and has let nobody in yet."""
        with trio.move_on_after(ACQUAINTED_S):
            await trio.sleep(ANSWER_S)
            while any(peer.behind for peer in self._peers.values()):
                await self._caught_up.wait()

    def say(self, topic: str, body: bytes) -> None:
        """Tell every other node. Never waits and never raises; whoever does not get it will know that."""
        self._said += 1
        if self._peers:
            self._bus.signal(topic, self._said.to_bytes(NUMBER_BYTES) + body)

    def listen(self, topic: str, hear: Hear) -> None:
        """Say, before anything runs, who takes what the others say on a topic."""

        def heard(node_id: str, numbered: bytes) -> None:
            if self._hear(node_id, numbered, saying=True):
                hear(node_id, numbered[NUMBER_BYTES:])

        self._bus.listen(topic, heard)

    def _hear(self, node_id: str, numbered: bytes, *, saying: bool) -> bool:
        """Take note of a number; False when it is an old one, which a bus that repeats itself would bring."""
        number = int.from_bytes(numbered[:NUMBER_BYTES])
        peer = self._peers.get(node_id)
        if peer is None:
            if len(self._peers) >= MOST:
                log.error("too many nodes", most=MOST)
                return False
            peer = self._peers[node_id] = Peer(trio.current_time())
            self._greet()
        expected = peer.number + saying
        if number < expected:
            return False
        peer.number = number
        peer.heard_at = trio.current_time()
        if number > expected:
            peer.behind = True
            self._missed += 1
            self._tell_missed(node_id)
        return True

    def _alive(self, node_id: str, numbered: bytes) -> None:
        peer = self._peers.get(node_id)
        behind = peer is not None and peer.behind
        if self._hear(node_id, numbered, saying=False):
            if address := numbered[NUMBER_BYTES:]:
                at = _ADDRESS.decode(address)
                self._peers[node_id].address = at.host, at.port
            if behind:
                self._tell_missed(node_id)

    def _tell_missed(self, node_id: str) -> None:
        for call in self._on_missed:
            call(node_id)

    def _goodbye(self, node_id: str, body: bytes) -> None:
        if self._peers.pop(node_id, None) is not None:
            for call in self._on_gone:
                call(node_id)

    def _greet(self) -> None:
        self._bus.signal("alive", self._said.to_bytes(NUMBER_BYTES) + self._address)

    def say_goodbye(self) -> None:
        """Say, as the last thing of all, that this node ends."""
        self._bus.signal("goodbye", b"")

    async def run(self) -> None:
        """Show that this node lives, and see who does not any more, for ever."""
        beat_s = self._lease_s / BEATS
        while True:
            self._greet()
            due = trio.current_time() + beat_s
            await trio.sleep_until(due)
            now = trio.current_time()
            late_s = now - due
            if late_s > beat_s:
                # This process stood still (a stopped or starved machine). What the others said meanwhile has not been
                # read yet: their silence is ours.
                for peer in self._peers.values():
                    peer.heard_at += late_s
            for node_id in [one for one, peer in self._peers.items() if peer.heard_at + self._lease_s <= now]:
                log.warning("a node has fallen silent", node_id=node_id)
                self._goodbye(node_id, b"")

    def statistics(self) -> dict[str, int]:
        return {"nodes": len(self._peers) + 1, "said": self._said, "missed": self._missed}


def _weight(node_id: str, key: str) -> bytes:
    """Rendezvous hashing: the heaviest node takes the key, so when one goes only its own keys move."""
    return blake2b(f"{node_id} {key}".encode(), digest_size=8).digest()
