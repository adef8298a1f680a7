"""Why a call is not done as asked. The sentences go to clients, and avoid the words that one of them takes for trouble with
its microphone (permission, denied, ...: contract 2.6).

``gateway/api/answers.py`` holds the table from class to HTTP status.
"""

from __future__ import annotations


class CallError(Exception):
    """Base: a sentence safe to show, and the stable word of contract D4."""

    code = "call_error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class NotThere(CallError):
    """No such room or call for this user; what it is that is missing is not told (contract D3)."""

    code = "not_found"


class Barred(CallError):
    """The user may not do this."""

    code = "forbidden"


class Conflicting(CallError):
    """The call is not in a state for this."""

    code = "conflict"


class MediaUnavailable(CallError):
    """There is no LiveKit, or it cannot be reached; nothing has changed.

    Attributes:
        retry_after_s: when trying again may help.
    """

    code = "calls_unavailable"

    def __init__(self, message: str, *, retry_after_s: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


def no_such_room() -> NotThere:
    return NotThere("There is no such room.")


def no_such_call() -> NotThere:
    return NotThere("There is no such call.")


def no_live_call() -> NotThere:
    return NotThere("There is no call in this room now.")


def not_configured() -> MediaUnavailable:
    return MediaUnavailable(
        "Calls are not available: this server has no LiveKit configured.", retry_after_s=60
    )


def switched_off() -> Barred:
    return Barred("Calls are switched off.", code="calls_disabled")


def room_frozen() -> Barred:
    return Barred("This room is frozen.", code="room_frozen")


def creator_ends() -> Barred:
    return Barred("Only who started a group call can end it; leave it instead.", code="not_creator")


def nobody_to_call() -> Conflicting:
    return Conflicting("There is nobody else in this room to call.", code="nobody_to_call")


def own_call() -> Conflicting:
    return Conflicting("You started this call yourself.", code="own_call")


def call_over() -> Conflicting:
    return Conflicting("This call is over.", code="call_over")


def call_full() -> Conflicting:
    return Conflicting("This call is full.", code="call_full")


def answered_elsewhere() -> Conflicting:
    return Conflicting("This call was answered on another device.", code="answered_elsewhere")
