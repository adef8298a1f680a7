"""Everybody of one run: who is still to come, the moment when all are there, and when what was said and done."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Container, Sequence

from gevent.event import Event

from loadtest.platform import Person


class Crowd:
    """What the users of one run share.

    Args:
        people: who come, in the order in which locust starts them.

    Attributes:
        all_there: set when each of them is where the scenario wants him to begin.
        size: how many there are.
        away: the ids of those whose connection was cut and who are not back yet.
        here: the ids of those who have come, and since when. Until they leave for good they are to be shown online, cut
            off or not.
    """

    def __init__(self, people: Sequence[Person]) -> None:
        self.all_there = Event()
        self.away: set[str] = set()
        self.here: dict[str, float] = {}
        self.size = len(people)
        self._people = people
        self._members: dict[str, set[str]] = {}
        for person in people:
            for room_id in person.rooms:
                self._members.setdefault(room_id, set()).add(person.id)
        self._cuts: list[Callable[[], None]] = []
        self._numbers = itertools.count()
        self._missing = self.size
        self._moments: dict[tuple[str, ...], float] = {}

    def next(self) -> tuple[int, Person]:
        """Who the next user is, and his number."""
        number = next(self._numbers)
        return number, self._people[number]

    def can_be_cut(self, cut: Callable[[], None]) -> None:
        """Somebody more whom :meth:`cut_all` is to meet."""
        self._cuts.append(cut)

    def cut_all(self) -> None:
        """Everybody's connection breaks, now."""
        for cut in self._cuts:
            cut()

    def arrived(self) -> None:
        """One more is where he should be, or will not come there."""
        self._missing -= 1
        if self._missing == 0:
            self.all_there.set()

    def unseen(self, person: Person, online: Container[str], *, before: float) -> int:
        """How many share a room with somebody and were here before a moment, but are not among those he is told of."""
        mates = set().union(*(self._members[room_id] for room_id in person.rooms))
        return sum(mate not in online and self.here.get(mate, math.inf) < before for mate in mates)

    def begin(self, *what: str) -> None:
        """Something happens now of which another user will hear."""
        self._moments[what] = time.perf_counter()

    def since(self, *what: str) -> float | None:
        """Seconds since :meth:`begin`; None for what did not happen here."""
        began = self._moments.get(what)
        return None if began is None else time.perf_counter() - began
