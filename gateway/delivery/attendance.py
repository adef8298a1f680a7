"""Who is where, by the word of every node. Pure: no time, no bus.

A place is a tenant or a room. A user is in a place while at least one node says so; the nodes do not know better than each
other, and none takes back what another has said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, KeysView, Mapping
from typing import TypeAlias

Places: TypeAlias = Mapping[str, Collection[str]]

Change: TypeAlias = tuple[str, str, bool]
"""A place, a user, and whether he is there now."""


class Attendance:
    """The places, with those who are in them and the nodes that say so.

    Kept by place alone. What one node says has to be looked for in all of them, which is wanted when nodes come and go; but
    every connection is in two places, and an account by node would cost each another hundred bytes.
    """

    def __init__(self) -> None:
        self._here: dict[str, dict[str, tuple[str, ...]]] = {}  # place -> user -> nodes
        self._alone: dict[str, tuple[str]] = {}  # node -> it alone, shared by all of whom no other says it

    def here(self, place: str) -> KeysView[str]:
        """Who is there, in the order of coming; for reading, and only until something changes."""
        return self._here.get(place, {}).keys()

    def said_by(self, node: str) -> Iterator[tuple[str, str]]:
        """All that a node says: places and users in them."""
        for place, users in self._here.items():
            for user, nodes in users.items():
                if node in nodes:
                    yield place, user

    def enter(self, node: str, place: str, user: str) -> bool | None:
        """A node says that the user is there; True if none had said it before, None if it had itself."""
        here = self._here.get(place)
        if here is None:
            here = self._here[place] = {}
        nodes = here.get(user)
        if nodes is None:
            alone = self._alone.get(node)
            if alone is None:
                alone = self._alone[node] = (node,)
            here[user] = alone
            return True
        if node in nodes:
            return None
        here[user] = (*nodes, node)
        return False

    def leave(self, node: str, place: str, user: str) -> bool | None:
        """A node says so no more; True if it was the last that did, None if it did not."""
        here = self._here.get(place)
        nodes = () if here is None else here.get(user, ())
        if here is None or node not in nodes:
            return None
        if len(nodes) > 1:
            others = tuple([other for other in nodes if other != node])
            here[user] = self._alone.get(others[0], others) if len(others) == 1 else others
            return False
        del here[user]
        if not here:
            del self._here[place]
        return True

    def apply(self, node: str, changes: Iterable[Change]) -> list[Change]:
        """What a node says has changed; returns what that changes in truth."""
        return [
            change
            for change in changes
            if (self.enter if change[2] else self.leave)(node, change[0], change[1])
        ]

    def replace(self, node: str, places: Places) -> list[Change]:
        """All that a node says now, in place of all that it said; returns what that changes in truth."""
        came = [(place, user, True) for place, users in places.items() for user in users]
        went = [
            (place, user, False) for place, user in self.said_by(node) if user not in places.get(place, ())
        ]
        changes = self.apply(node, came + went)
        if not places:
            self._alone.pop(node, None)  # it may be gone for good
        return changes

    def count(self) -> int:
        """Users, each counted in every place he is in."""
        return sum(len(users) for users in self._here.values())
