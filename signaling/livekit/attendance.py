"""Who should be in a media room and is not: since when, and whether that is long enough to say that he has gone.

Pure; the time comes in as an argument.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

CONNECT_S: Final = 13.0
"""How long somebody may take from his token, or from the moment the call became active, to the room. LiveKit's own clients
give up after 15 seconds; and those who have come and gone between two looks are taken for people who never came."""

GONE_S: Final = 8.0
"""How long somebody who was in the room may be out of it. LiveKit lists him for as long as it hopes for him itself, so this
is for clients that start over: a reload, a change of network. Together with the pace of the reconciler it stays below the 15
seconds within which a call must be right without webhooks."""


class Attendance:
    """What was seen of the rooms of live calls. It is forgotten with the process, at the price of ``CONNECT_S`` once more.

    All times are seconds of one clock that never goes back.
    """

    def __init__(self) -> None:
        self._rooms: dict[str, _Seen] = {}

    def expect(self, room: str, user_id: str, *, now: float) -> None:
        """He was given a token: he has the time of a newcomer, again."""
        seen = self._rooms.setdefault(room, _Seen())
        seen.expected[user_id] = now
        seen.been.discard(user_id)
        seen.absent.pop(user_id, None)

    def gone(
        self, room: str, *, joined: Collection[str], present: Collection[str], now: float, active_s: float
    ) -> frozenset[str]:
        """Who has been missing too long, of an active call.

        Args:
            joined: who is in the call.
            present: who is in its media room at this moment.
            active_s: for how long the call has been active.
        """
        seen = self._rooms.setdefault(room, _Seen())
        seen.been.intersection_update(joined)
        seen.been.update(user_id for user_id in joined if user_id in present)
        absent: dict[str, float] = {}
        for user_id in joined:
            if user_id not in present:
                # The creator has had his token since he called.
                expected = max(seen.expected.get(user_id, now), now - active_s)
                absent[user_id] = seen.absent.get(user_id, now if user_id in seen.been else expected)
        seen.absent = absent
        return frozenset(user_id for user_id in absent if seen.ends(user_id) <= now)

    def due(self, now: float) -> list[str]:
        """The rooms in which somebody has been missing too long by now, unless he has come meanwhile."""
        return [
            room for room, seen in self._rooms.items() if any(seen.ends(one) <= now for one in seen.absent)
        ]

    def forget(self, room: str) -> None:
        """Nothing is known of this room any more."""
        self._rooms.pop(room, None)

    def keep(self, rooms: Collection[str]) -> None:
        """Forget all rooms but these."""
        for room in self._rooms.keys() - set(rooms):
            self.forget(room)


class _Seen:
    """
    Attributes:
        expected: who was given a token, and when.
        been: who was in the room when it was last looked at, or before, since his last token.
        absent: who is missing, since when.
    """

    __slots__ = ("absent", "been", "expected")

    def __init__(self) -> None:
        self.expected: dict[str, float] = {}
        self.been: set[str] = set()
        self.absent: dict[str, float] = {}

    def ends(self, user_id: str) -> float:
        """When a missing person's time is over."""
        return self.absent[user_id] + (GONE_S if user_id in self.been else CONNECT_S)
