"""Who should be in a media room and is not: since when, and whether that is long enough to say that he has gone.

Pure; the time comes in as an argument.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

CONNECT_S: Final = 20.0
"""How long somebody may take from his token to the room: a page that asks for the microphone, on a slow network."""

GONE_S: Final = 8.0
"""How long somebody who was in the room may be out of it. LiveKit lists him for as long as it hopes for him itself, so this
is for clients that start over: a reload, a change of network. Together with the pace of the reconciler it stays below the 15
seconds within which a call must be right without webhooks."""


class Attendance:
    """What was seen of the rooms of live calls. Forgotten with the process, at the price of ``CONNECT_S`` once more."""

    def __init__(self) -> None:
        self._been: dict[str, set[str]] = {}
        self._absent_since: dict[str, dict[str, float]] = {}

    def expect(self, room: str, user_id: str) -> None:
        """He was given a token: he has the time of a newcomer again."""
        self._been.get(room, set()).discard(user_id)
        self._absent_since.get(room, {}).pop(user_id, None)

    def gone(
        self, room: str, *, joined: Collection[str], present: Collection[str], now: float
    ) -> frozenset[str]:
        """Who has been missing too long, of an active call.

        Args:
            joined: who is in the call.
            present: who is in its media room at this moment.
            now: seconds of a clock that never goes back.
        """
        been = self._been.setdefault(room, set())
        been.intersection_update(joined)
        been.update(user_id for user_id in joined if user_id in present)
        before = self._absent_since.get(room, {})
        absent = {user_id: before.get(user_id, now) for user_id in joined if user_id not in present}
        self._absent_since[room] = absent
        return frozenset(
            user_id
            for user_id, since in absent.items()
            if now - since >= (GONE_S if user_id in been else CONNECT_S)
        )

    def forget(self, room: str) -> None:
        """Nothing is known of this room any more."""
        self._been.pop(room, None)
        self._absent_since.pop(room, None)

    def keep(self, rooms: Collection[str]) -> None:
        """Forget all rooms but these."""
        for room in self._been.keys() - set(rooms):
            self.forget(room)
