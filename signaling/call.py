"""What a call is: a frozen record, and the words for its states. How it moves is in ``transitions``."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias

import msgspec

CallType: TypeAlias = Literal["audio", "video"]


class Status(StrEnum):
    """Of a call (contract 10, row 23)."""

    RINGING = "ringing"
    ACTIVE = "active"
    ENDED = "ended"
    DECLINED = "declined"
    MISSED = "missed"
    CANCELLED = "cancelled"

    @property
    def live(self) -> bool:
        return self in (Status.RINGING, Status.ACTIVE)


class Standing(StrEnum):
    """Of a person in a call."""

    CALLED = "ringing"
    JOINED = "joined"
    DECLINED = "declined"
    MISSED = "missed"
    LEFT = "left"


class Party(msgspec.Struct, frozen=True):
    """Somebody's part in a call.

    Attributes:
        device: ``jti`` of the token that he joined or declined with, which tells his devices apart.
        joined_at, left_at: milliseconds; of the last time.
    """

    user_id: str
    standing: Standing
    device: str | None = None
    joined_at: int | None = None
    left_at: int | None = None


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call as it is kept. Times are milliseconds since the epoch.

    Attributes:
        parties: the creator first, then those who were called, then who came later.
        ring_until: when those who are called will have missed it; None once nobody is.
        end_reason: as clients know it (contract 10, row 24).
    """

    id: str
    tenant_id: str
    room_id: str
    type: CallType
    status: Status
    created_by: str
    is_group: bool
    media_room: str
    max_participants: int
    ring_s: int
    created_at: int
    parties: tuple[Party, ...]
    ring_until: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    end_reason: str | None = None

    def party(self, user_id: str) -> Party | None:
        return next((party for party in self.parties if party.user_id == user_id), None)

    @property
    def joined(self) -> frozenset[str]:
        """Who may be in the media room."""
        return frozenset([party.user_id for party in self.parties if party.standing is Standing.JOINED])

    @property
    def called(self) -> frozenset[str]:
        return frozenset([party.user_id for party in self.parties if party.standing is Standing.CALLED])
