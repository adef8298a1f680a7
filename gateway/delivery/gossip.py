"""How the nodes come to know who is where: each tells its own part, and remembers what the others told.

What changes here within one beat goes to the others as one signal. A node of which something has been missed is asked for
all that it says, and answers with a snapshot for everybody; since signals arrive in order or are known to be lost, a
snapshot that arrived whole and the changes after it are that node's truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec
import trio

from gateway.delivery.attendance import Attendance, Change
from gateway.delivery.grace import Grace
from gateway.delivery.peers import Peers
from gateway.delivery.timers import Timer

BEAT_S = 0.02
"""How long changes gather: far below what a person notices, and one signal for a storm of them."""

PART = 2_000
"""Users in one signal: some 80 KB, however many a snapshot holds."""

SNAPSHOT_S = 0.2
"""A snapshot goes to all, so that who asks within this time of the last needs no other; if he does, he asks again."""

OWN = ""
"""This node among those that say something."""

Changed: TypeAlias = Callable[[list[Change], bool], None]
"""Takes what has changed by the word of others, and whether that makes good a loss: something was missed, or a node is
gone."""

Kind: TypeAlias = str


class Part(msgspec.Struct, array_like=True):
    """Something a node says of who is where.

    Attributes:
        kinds: kind of place -> place -> user -> whether he is there.
        first: a snapshot begins.
        last: it ends.
    """

    kinds: dict[Kind, dict[str, dict[str, bool]]]
    first: bool = False
    last: bool = False


_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(Part).decode


class Places:
    """One kind of place, over all nodes: where users are, and what this node says of it.

    Args:
        grown: called when there begins to be something to tell the others.
    """

    def __init__(self, changed: Changed, grown: Callable[[], None]) -> None:
        self._attendance = Attendance()
        self._changed = changed
        self._grown = grown
        self.here = self._attendance.here
        self.count = self._attendance.count
        self.news: dict[tuple[str, str], bool] = {}

    def enter(self, place: str, user: str) -> bool:
        """This node says that the user is there; True if no node had said it."""
        first = self._attendance.enter(OWN, place, user)
        if first is None:
            return False
        if not self.news:
            self._grown()
        self.news[place, user] = True
        return first

    def leave(self, place: str, user: str) -> bool:
        """This node says so no more; True if no other node does."""
        last = self._attendance.leave(OWN, place, user)
        if last is None:
            return False
        if not self.news:
            self._grown()
        self.news[place, user] = False
        return last

    def whole(self) -> Iterator[Change]:
        """All that this node says."""
        return ((place, user, True) for place, user in self._attendance.said_by(OWN))

    def take_news(self) -> Iterator[Change]:
        """What this node says anew since the last time."""
        news, self.news = self.news, {}
        return ((place, user, here) for (place, user), here in news.items())

    def heard(self, node_id: str, said: dict[str, dict[str, bool]]) -> None:
        """Another node tells what has changed."""
        changes = [(place, user, here) for place, users in said.items() for user, here in users.items()]
        self._tell(self._attendance.apply(node_id, changes), healed=False)

    def replace(self, node_id: str, said: dict[str, set[str]]) -> None:
        """All that another node says."""
        self._tell(self._attendance.replace(node_id, said), healed=True)

    def _tell(self, changes: list[Change], *, healed: bool) -> None:
        if changes:
            self._changed(changes, healed)


class Gossip:
    """Tells the other nodes what this one says of every kind of place, and keeps what they say.

    Args:
        grace: how long the word of a node that is gone still counts: its users are coming back elsewhere.
    """

    def __init__(self, *, peers: Peers, grace: Grace) -> None:
        self._peers = peers
        self._grace = grace
        self._kinds: dict[Kind, Places] = {}
        self._gathering: dict[str, dict[Kind, dict[str, set[str]]]] = {}  # node -> its unfinished snapshot
        self._fading: dict[str, Timer] = {}  # nodes that are gone, while their word still counts
        self._told_all_at = -SNAPSHOT_S
        self._beat = trio.Event()
        peers.on_missed(self._missed)
        peers.on_gone(self._gone)
        peers.listen("presence", self._heard)
        peers.listen("presence-wanted", self._asked)

    def places(self, kind: Kind, changed: Changed) -> Places:
        """A kind of place to gossip about; all nodes must know the same, by the same name."""
        places = self._kinds[kind] = Places(changed, self._grown)
        return places

    def _grown(self) -> None:
        self._beat.set()

    async def run(self) -> None:
        """Tell the others what is new, beat by beat, for ever."""
        while True:
            await self._beat.wait()
            await trio.sleep(BEAT_S)
            self._beat = trio.Event()
            news = {kind: places.take_news() for kind, places in self._kinds.items()}
            if self._peers.alone:
                # Nobody to tell, but the number that this takes tells of it, should somebody have been there all along.
                self._peers.say("presence", b"")
                continue
            for kinds in _parts(news):
                self._peers.say("presence", _ENCODE(Part(kinds)))

    def _asked(self, node_id: str, body: bytes) -> None:
        now = trio.current_time()
        if body.decode() != self._peers.node_id or now < self._told_all_at + SNAPSHOT_S:
            return
        self._told_all_at = now
        parts = [*_parts({kind: places.whole() for kind, places in self._kinds.items()})] or [{}]
        for number, kinds in enumerate(parts, 1):
            part = Part(kinds, first=number == 1, last=number == len(parts))
            self._peers.say("presence", _ENCODE(part))

    def _missed(self, node_id: str) -> None:
        self._gathering.pop(node_id, None)
        self._no_longer_fading(node_id)
        self._peers.say("presence-wanted", node_id.encode())

    def _heard(self, node_id: str, body: bytes) -> None:
        part = _DECODE(body)
        if part.first:
            self._gathering[node_id] = {}
        gathering = self._gathering.get(node_id)
        if gathering is None:
            self._no_longer_fading(
                node_id
            )  # given up, and now heard without a gap: all it has said still holds
            for kind, said in part.kinds.items():
                if kind in self._kinds:  # another version of the program may know more kinds
                    self._kinds[kind].heard(node_id, said)
            return
        for kind, said in part.kinds.items():
            places = gathering.setdefault(kind, {})
            for place, users in said.items():
                places.setdefault(place, set()).update(users)
        if part.last:
            del self._gathering[node_id]
            self._replace(node_id, gathering)
            self._peers.caught_up(node_id)

    def _replace(self, node_id: str, kinds: dict[Kind, dict[str, set[str]]]) -> None:
        self._no_longer_fading(node_id)
        for kind, places in self._kinds.items():
            places.replace(node_id, kinds.get(kind, {}))

    def _no_longer_fading(self, node_id: str) -> None:
        timer = self._fading.pop(node_id, None)
        if timer is not None:
            timer.cancel()

    def _gone(self, node_id: str) -> None:
        self._gathering.pop(node_id, None)
        if node_id not in self._fading:
            self._fading[node_id] = self._grace.begin(self._replace, node_id, {})


def _parts(kinds: dict[Kind, Iterator[Change]]) -> Iterator[dict[Kind, dict[str, dict[str, bool]]]]:
    """Cut what is to be said into pieces of ``PART`` users, in which each place is named once."""
    part: dict[Kind, dict[str, dict[str, bool]]] = {}
    size = 0
    for kind, changes in kinds.items():
        for place, user, here in changes:
            part.setdefault(kind, {}).setdefault(place, {})[user] = here
            size += 1
            if size == PART:
                yield part
                part, size = {}, 0
    if part:
        yield part
