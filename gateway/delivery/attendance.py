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
    """The places, with those who are in them and the number of nodes that say so."""

    def __init__(self) -> None:
        self._here: dict[str, dict[str, int]] = {}  # place -> user -> nodes
        self._said: dict[str, dict[str, set[str]]] = {}  # node -> place -> users

    def here(self, place: str) -> KeysView[str]:
        """Who is there, in the order of coming; for reading, and only until something changes."""
        return self._here.get(place, {}).keys()

    def says(self, node: str, place: str, user: str) -> bool:
        """Whether this node says that the user is there."""
        return user in self._said.get(node, {}).get(place, ())

    def said_by(self, node: str) -> Iterator[tuple[str, str]]:
        """All that a node says: places and users in them."""
        for place, users in self._said.get(node, {}).items():
            for user in users:
                yield place, user

    def enter(self, node: str, place: str, user: str) -> bool:
        """A node says that the user is there; True if none had said it before."""
        users = self._said.setdefault(node, {}).setdefault(place, set())
        if user in users:
            return False
        users.add(user)
        here = self._here.setdefault(place, {})
        here[user] = nodes = here.get(user, 0) + 1
        return nodes == 1

    def leave(self, node: str, place: str, user: str) -> bool:
        """A node says so no more; True if it was the last that did."""
        places = self._said.get(node, {})
        users = places.get(place, set())
        if user not in users:
            return False
        users.remove(user)
        if not users:
            del places[place]
            if not places:
                del self._said[node]
        here = self._here[place]
        here[user] -= 1
        if here[user]:
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
        return self.apply(node, came + went)

    def count(self) -> int:
        """Users, each counted in every place he is in."""
        return sum(len(users) for users in self._here.values())
