"""The scenarios by name: who is in which room, how the users behave, and what befalls all of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Rosters: TypeAlias = Sequence[Sequence[int]]

LARGEST_ROOM = 1_000
"""What a gateway allows in a room unless it is told otherwise."""

ROOMS_OF_AN_INBOX = 50
MEMBERS_OF_A_ROOM = 10
MEMBERS_OF_A_SMALL_ROOM = 4
SMALL_ROOMS_OF_A_USER = 8


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    Attributes:
        about: one line.
        user: the class of :mod:`loadtest.users` that its people are of.
        rosters: who is in which room, of so many people.
        cut_every_s: how often all connections are cut at once; 0 for never.
    """

    about: str
    user: str
    rosters: Callable[[int], Rosters]
    cut_every_s: float = 0.0


def groups(of: int) -> Callable[[int], Rosters]:
    """Everybody in one room, with so many others at most."""

    def rosters(users: int) -> Rosters:
        return [range(first, min(first + of, users)) for first in range(0, users, of)]

    return rosters


def mixed(rooms_each: int, members: int) -> Callable[[int], Rosters]:
    """Everybody in so many rooms, each with other people; the same every time."""

    def rosters(users: int) -> Rosters:
        chance = random.Random(users)
        drawn: list[list[int]] = []
        for _ in range(rooms_each):
            order = chance.sample(range(users), users)
            drawn += [order[first : first + members] for first in range(0, users, members)]
        return drawn

    return rosters


SCENARIOS = {
    "connect-storm": Scenario("all connect in the same moment", "Arriving", groups(MEMBERS_OF_A_ROOM)),
    "pairs": Scenario("pairs of people chat", "Talker", groups(2)),
    "large-room": Scenario(
        "one room of all, up to 1 000, who write a little", "Listener", groups(LARGEST_ROOM)
    ),
    "small-rooms": Scenario(
        "twice as many small rooms as people, few of them busy and most quiet",
        "Wanderer",
        mixed(SMALL_ROOMS_OF_A_USER, MEMBERS_OF_A_SMALL_ROOM),
    ),
    "typing-storm": Scenario("everybody types", "Typist", groups(MEMBERS_OF_A_ROOM)),
    "inbox": Scenario(
        "everybody has 50 rooms, and fetches the list of them 800 ms after each message",
        "Owner",
        mixed(ROOMS_OF_AN_INBOX, MEMBERS_OF_A_ROOM),
    ),
    "reconnect": Scenario(
        "all connections are cut at once, every 10 s",
        "Traveller",
        groups(MEMBERS_OF_A_ROOM),
        cut_every_s=10.0,
    ),
    "calls": Scenario("pairs of people call each other", "Caller", groups(2)),
}
