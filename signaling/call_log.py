"""The call log: the ``data-call`` part that a call leaves in its room when it is over (contract 3.5, 5.5)."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from signaling.call import Call, CallType, Status

OUTCOMES: Final[dict[Status, Literal["completed", "missed", "declined", "cancelled"]]] = {
    Status.ENDED: "completed",
    Status.MISSED: "missed",
    Status.DECLINED: "declined",
    Status.CANCELLED: "cancelled",
}


class CallLog(msgspec.Struct, frozen=True, rename="camel"):
    """``data`` of a ``data-call`` part. Clients ignore one that lacks a key or has another type in it."""

    call_id: str
    call_type: CallType
    outcome: Literal["completed", "missed", "declined", "cancelled"]
    initiated_by_user_id: str
    is_group: bool
    duration_seconds: float | None = None


class _Part(msgspec.Struct, frozen=True):
    data: CallLog
    type: str = "data-call"


def call_log(call: Call) -> CallLog:
    """The log of a call that is over."""
    return CallLog(
        call_id=call.id,
        call_type=call.type,
        outcome=OUTCOMES[call.status],
        initiated_by_user_id=call.created_by,
        is_group=call.is_group,
        duration_seconds=_seconds(call),
    )


def parts(log: CallLog) -> bytes:
    """The parts of its message, as JSON."""
    return msgspec.json.encode([_Part(log)])


def preview(log: CallLog) -> str:
    """The line that inboxes show (contract 3.5)."""
    if log.outcome == "cancelled":
        return "Call cancelled"
    if log.outcome == "missed":
        return f"Missed {'video' if log.call_type == 'video' else 'voice'} call"
    label = f"{'Group ' if log.is_group else ''}{'Video' if log.call_type == 'video' else 'Voice'} call"
    if log.outcome == "declined":
        return f"{label} declined"
    if log.duration_seconds is None or log.duration_seconds < 0:
        return label
    seconds = round(log.duration_seconds)
    length = f"0:{seconds:02}" if seconds < 60 else f"{max(1, round(seconds / 60))} min"
    return f"{label} · {length}"


def _seconds(call: Call) -> int | None:
    """From the first accept to the end; None for a call that was never active, or for no time at all."""
    if call.started_at is None or call.ended_at is None or call.ended_at <= call.started_at:
        return None
    return round((call.ended_at - call.started_at) / 1000)
