"""The log of a tenant's durable events, and what a client that comes back finds in it."""

from __future__ import annotations

import msgspec


class LogEvent(msgspec.Struct, frozen=True):
    """A durable event, as it stands in its tenant's log and goes to the sockets.

    Attributes:
        number: its place in the log: 1, 2, 3, … without holes.
        epoch: which log that is; with the number it is the offset that clients see.
        payload: one JSON object.
        user_ids: who is to be told, as it was when it happened.
    """

    number: int
    epoch: str
    event: str
    payload: bytes
    user_ids: tuple[str, ...]


class LogSpan(msgspec.Struct, frozen=True):
    """A tenant's log as far as it is kept: the events after ``floor`` and up to ``head``."""

    epoch: str
    floor: int
    head: int


class Return(msgspec.Struct, frozen=True):
    """What there is for the client of a socket that comes back.

    Attributes:
        room_id: the room that it had open.
        has_lost_room: it had one open that its user is no longer in.
        opened_at: when it opened the room, in milliseconds since the epoch; 0 when it had none open.
    """

    log: LogSpan
    room_id: str | None
    has_lost_room: bool
    opened_at: int
