"""Whether a history keeps the promise: nothing acknowledged is lost, doubled or reordered, and nobody overhears.

What a device holds of a room is what it fetched when its session began and what it was told after that. ::

    stored     m1 m2 m3 m4 m5 m6 m7        the truth
    fetched    m1 m2 m3                    each in the store's order, once
    told             m3 m4 m5 m6 m7        each in the store's order, once; a message may be in both
    together   m1 … m7                     without a hole, and to the end if the session lasted

Someone who comes and goes must hear what was sent entirely within his time in the room, must not hear what was sent
entirely outside of it, and may or may not hear what was under way when he came or went.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from tests.history.records import MESSAGE, ROSTER, History, Send, Stored, Visit


class Kind(StrEnum):
    LOST = "lost"
    DOUBLED = "doubled"
    REORDERED = "reordered"
    OVERHEARD = "delivered to a non-member"
    UNSTORED = "acknowledged but not stored"
    INVENTED = "told but not stored"
    STRANGE = "strange"


@dataclass(frozen=True, slots=True)
class Violation:
    kind: Kind
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


def check(history: History) -> list[Violation]:
    """Everything in it that must not be; nothing if all is well."""
    found = [Violation(Kind.STRANGE, what) for what in history.strange]
    found += _check_store(history)
    visited = [_Visited(history, visit) for visit in history.visits]
    for one in visited:
        found += one.check()
    for room in history.members:
        found += _check_agreement(room, [one for one in visited if one.stays_in(room)])
    return found


def _check_agreement(room: str, visited: Sequence[_Visited]) -> Iterator[Violation]:
    """What else happens in a room, such as an edit, is nowhere listed; but what one of those who are always there has been
    told, all must have been."""
    happened = {
        told.number: told
        for one in visited
        for told in one.visit.told
        if told.room == room and told.event != MESSAGE
    }
    for one in visited:
        numbers = {told.number for told in one.visit.told}
        if not numbers:
            continue
        last = math.inf if one.visit.lasted else max(numbers)
        for number, told in happened.items():
            if min(numbers) < number < last and number not in numbers:
                yield Violation(Kind.LOST, f"{one.who} has never got {told}")


def _check_store(history: History) -> Iterator[Violation]:
    """What was acknowledged is there, as the one message it was acknowledged as, and in an order that can have been."""
    ids = {stored.id: stored.client_id for room in history.stored.values() for stored in room}
    for send in history.sends:
        for message_id in sorted(set(send.ids)):
            if ids.get(message_id) != send.client_id:
                yield Violation(Kind.UNSTORED, f"{send.client_id}, as {message_id}")
        if len(set(send.ids)) > 1:
            yield Violation(Kind.DOUBLED, f"{send.client_id} was acknowledged as {sorted(set(send.ids))}")
    by_client_id = {send.client_id: send for send in history.sends}
    for room, messages in history.stored.items():
        own = Counter(stored.client_id for stored in messages if stored.client_id is not None)
        for client_id, count in own.items():
            if count > 1:
                yield Violation(Kind.DOUBLED, f"{client_id} is stored {count} times in {room}")
        latest = -math.inf
        for stored in messages:
            sent = by_client_id.get(stored.client_id or "")
            if sent is None:
                continue
            if sent.ended < latest:
                yield Violation(
                    Kind.REORDERED,
                    f"{sent.client_id} is stored behind what was sent after its acknowledgement",
                )
            latest = max(latest, sent.began)


class _Visited:
    """One session of one device."""

    def __init__(self, history: History, visit: Visit) -> None:
        self.history = history
        self.visit = visit
        self.who = f"{visit.device} of {visit.user}"
        self.sends = {send.client_id: send for send in history.sends}

    def check(self) -> Iterator[Violation]:
        yield from self._check_offsets()
        yield from self._check_removals()
        for room, stored in self.history.stored.items():
            told = [told.id for told in self.visit.told if (told.event, told.room) == (MESSAGE, room)]
            yield from self._check_sequence(told, stored, "was told of")
            yield from self._check_sequence(self.visit.fetched.get(room, []), stored, "fetched")
            yield from self._check_membership(room, told, stored)
            yield from self._check_completeness(room, told, stored)

    def _check_offsets(self) -> Iterator[Violation]:
        """All events of a session, whatever they are about, come in the order of the tenant's log."""
        for earlier, later in pairwise(self.visit.told):
            if later.number == earlier.number:
                yield Violation(Kind.DOUBLED, f"{self.who} got {later} twice")
            elif later.number < earlier.number:
                yield Violation(Kind.REORDERED, f"{self.who} got {later} after {earlier}")

    def _check_sequence(self, ids: Sequence[str], stored: Sequence[Stored], how: str) -> Iterator[Violation]:
        places = {message.id: place for place, message in enumerate(stored)}
        seen: set[str] = set()
        furthest = -1
        for message_id in ids:
            place = places.get(message_id)
            if place is None:
                yield Violation(Kind.INVENTED, f"{self.who} {how} {message_id}")
            elif message_id in seen:
                yield Violation(Kind.DOUBLED, f"{self.who} {how} {message_id} twice")
            elif place < furthest:
                yield Violation(Kind.REORDERED, f"{self.who} {how} {message_id} after {stored[furthest].id}")
            else:
                furthest = place
            seen.add(message_id)

    def _check_membership(
        self, room: str, told: Sequence[str], stored: Sequence[Stored]
    ) -> Iterator[Violation]:
        by_id = {message.id: message for message in stored}
        for message_id in told:
            if message_id in by_id and self._was_in(room, by_id[message_id]) is False:
                yield Violation(Kind.OVERHEARD, f"{self.who} was told of {message_id} in {room}")

    def _check_removals(self) -> Iterator[Violation]:
        """From the word that he is out of a room, to the word that he is in again, a user hears nothing of it; and who was
        never in it hears nothing at all."""
        user = self.visit.user
        out = {
            room
            for room, members in self.history.members.items()
            if user not in members and not self._comes_and_goes(room)
        }
        for told in self.visit.told:
            concerns_him = told.event == ROSTER and told.id == user
            if concerns_him and told.action == "joined":
                out.discard(told.room)
            elif told.room in out:
                yield Violation(Kind.OVERHEARD, f"{self.who} is not in {told.room} and was told {told}")
            elif concerns_him:
                out.add(told.room)

    def _check_completeness(
        self, room: str, told: Sequence[str], stored: Sequence[Stored]
    ) -> Iterator[Violation]:
        fetched = self.visit.fetched.get(room)
        held = {*told, *(fetched or ())}
        if self.visit.lasted:
            end = len(stored)
        else:  # it may have been cut off at any time after the last it was told
            heard = set(told)
            end = max((place for place, message in enumerate(stored) if message.id in heard), default=0)
        for message in stored[:end]:
            if message.id in held or not self._was_in(room, message):
                continue
            if fetched is not None or self._began(message) > self.visit.began:
                yield Violation(Kind.LOST, f"{self.who} has never got {message.id} in {room}")

    def _began(self, message: Stored) -> float:
        send = self._send(message)
        return -math.inf if send is None else send.began

    def _send(self, message: Stored) -> Send | None:
        return None if message.client_id is None else self.sends.get(message.client_id)

    def stays_in(self, room: str) -> bool:
        return self.visit.user in self.history.members[room] and not self._comes_and_goes(room)

    def _comes_and_goes(self, room: str) -> bool:
        return any(change.room == room and change.user == self.visit.user for change in self.history.changes)

    def _was_in(self, room: str, message: Stored) -> bool | None:
        """Whether the user was in the room when the message was sent; None if that cannot be said."""
        inside = self.visit.user in self.history.members.get(room, ())
        if not self._comes_and_goes(room):
            return inside
        send = self._send(message)
        if send is None:
            return None
        for change in self.history.changes:
            if (change.room, change.user) != (room, self.visit.user):
                continue
            if change.ended < send.began:
                inside = change.joined
            elif change.began > send.ended:
                break
            else:
                return None
        return inside
