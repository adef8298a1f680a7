"""What a schedule leaves behind for the checker: everything that anybody did, was answered, and was told.

Times are seconds of one monotonic clock, that of the process that runs all clients.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

MESSAGE = "new-message"
ROSTER = "room-participants-changed"


@dataclass(slots=True)
class Send:
    """A message that somebody wanted sent, however often he had to ask.

    Attributes:
        ended: when it was acknowledged for the first time; infinite if it never was. It may be stored even so.
        ids: what it was acknowledged as, each time.
    """

    room: str
    client_id: str
    began: float
    ended: float = math.inf
    ids: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Change:
    """A user came into a room, or was removed, somewhere between the two times."""

    room: str
    user: str
    joined: bool
    began: float
    ended: float = math.inf


@dataclass(frozen=True, slots=True)
class Told:
    """A durable event as a device got it.

    Attributes:
        id: of the message, or of the user whose place in the room has changed.
        number: of its offset.
        action: ``joined``, ``left`` or ``removed`` for a change of the roster.
        at: when it got it.
    """

    event: str
    room: str
    id: str
    number: int
    action: str = ""
    at: float = field(default=0.0, compare=False)


@dataclass(slots=True)
class Visit:
    """A session of a device: from a CONNECT that began anew, over all that recovered it, to the next that did not.

    Attributes:
        began: when the device had the answer to the CONNECT.
        fetched: the messages of each room as REST listed them after that, for rooms where it got an answer.
        lasted: it was still the device's session when all faults were over and everything had been given time to arrive.
    """

    device: str
    user: str
    began: float
    told: list[Told] = field(default_factory=list)
    fetched: dict[str, list[str]] = field(default_factory=dict)
    recoveries: int = 0
    lasted: bool = False

    def holds(self, room: str, message_id: str) -> bool:
        return message_id in self.fetched.get(room, ()) or any(
            told.id == message_id and told.room == room for told in reversed(self.told)
        )


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as the room's history has it at the end; one that the server made has no ``client_id``."""

    id: str
    client_id: str | None


@dataclass(slots=True)
class History:
    """All of a schedule.

    Attributes:
        members: who was in each room at the start.
        stored: each room's messages at the end, oldest first.
        healed_s: how long after the last words everybody had everything.
        strange: what happened that nobody has a check for: answers that no client expects, errors in a server's log.
    """

    members: dict[str, set[str]] = field(default_factory=dict)
    sends: list[Send] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    stored: dict[str, list[Stored]] = field(default_factory=dict)
    healed_s: float = 0.0
    strange: list[str] = field(default_factory=list)
