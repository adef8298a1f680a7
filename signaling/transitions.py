"""How a call moves: pure, without time, store or network.

A call rings, may become active, and is over for good::

                      somebody else joins (accept, or a token, or a crossing start)
          ┌─────────┐ ────────────────────────────────────────────────▶ ┌────────┐
    start │ ringing │                                                    │ active │
    ─────▶└─────────┘                                                    └────────┘
               │ creator hangs up ─▶ cancelled (missed, if he says nobody      │ creator ends it, fewer than two
               │                     answered)                                 │ are left, the media room is gone
               │ the last invited declines ─▶ declined                         ▼
               └ nobody answers in time ─▶ missed                            ended

Each person in it has a standing of his own. Who starts it has joined; everybody else in the room is called::

    called ──▶ joined ◀──▶ left        joined: talking, and counted against the most there may be
       ├─────▶ declined ──▶ joined     a decliner, and who missed the ring or came into the room later,
       └─────▶ missed ────▶ joined     may still join while the call is live

What happens is decided by three things: the call's phase, what is asked, and the *role* of whom it is about: his part in
the call, derived from his standing. ``TABLE`` is total over the three and is all there is to know, but for two rules on
numbers that the moves themselves apply: an active call with fewer than two joined is over, and nobody joins a full one.

The pairs that look odd in the table:

- START in a live call is what clients call rejoin. Where it rings for the starter, both have called each other, and his
  start is an accept (contract D7). For the creator it is his own call again, and nobody is invited twice.
- TOKEN by anybody but the creator joins: a published client rejoins a ringing call that way, while the creator waits for
  ``call-accepted`` (contract 5.4). By the creator it changes nothing.
- LEAVE by somebody who is called declines. Clients send it when they hang up while their accept is on its way; a later
  accept must not find the call alive in a 1:1.
- VANISHED and MEDIA_OVER change nothing while it rings: clients join the media room at the first accept, so it is empty
  (contract appendix A 22).
- JOINED in a ringing call cannot be: the first to join makes it active. Its column says the harmless thing.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final, TypeAlias

import msgspec

from signaling import errors
from signaling.call import Call, CallType, Party, Standing, Status
from signaling.errors import CallError


class Action(StrEnum):
    """What is asked, or has happened.

    The last four come from no client: time is up; somebody is not in the room any more; somebody has gone from the
    media room; the media room is gone.
    """

    START = "start"
    ACCEPT = "accept"
    DECLINE = "decline"
    END = "end"
    LEAVE = "leave"
    TOKEN = "token"
    RING_TIMEOUT = "ring-timeout"
    REMOVED = "removed"
    VANISHED = "vanished"
    MEDIA_OVER = "media-over"


class Role(StrEnum):
    """Whom an action is about. RING_TIMEOUT and MEDIA_OVER are about nobody; there all roles read the same.

    OUTSIDE is in the room and was never called; AWAY is not in the call any more, the creator included.
    """

    CREATOR = "creator"
    CALLED = "called"
    JOINED = "joined"
    AWAY = "away"
    OUTSIDE = "outside"


class Move(StrEnum):
    """What then happens. The *_DIRECT ones are for calls between two; in a group they are refused."""

    STAY = "stay"
    JOIN = "join"
    SAME_DEVICE = "same-device"
    DECLINE = "decline"
    DECLINE_DIRECT = "decline-direct"
    LEAVE = "leave"
    LEAVE_DIRECT = "leave-direct"
    CANCEL = "cancel"
    END = "end"
    GIVE_UP = "give-up"


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One action on a call.

    Attributes:
        user_id: whom it is about; empty where it is about nobody.
        device: ``jti`` of the asking device's token.
        unanswered: of END: the creator's client has waited long enough (``no_answer``).
        creator_end_leaves: the tenant's setting (contract D8).
    """

    action: Action
    now: int
    user_id: str = ""
    device: str | None = None
    unanswered: bool = False
    creator_end_leaves: bool = False


Refusal: TypeAlias = Callable[[], CallError]
Cell: TypeAlias = Move | Refusal

_STAY, _JOIN, _LEAVE, _DECLINE = Move.STAY, Move.JOIN, Move.LEAVE, Move.DECLINE
_CANCEL, _END, _GIVE_UP = Move.CANCEL, Move.END, Move.GIVE_UP
_own, _over, _elsewhere = errors.own_call, errors.call_over, errors.answered_elsewhere

# fmt: off
_RINGING: Final[dict[Action, tuple[Cell, ...]]] = {
    #                     CREATOR    CALLED               JOINED              AWAY       OUTSIDE
    Action.START:        (_STAY,     _JOIN,               _STAY,              _JOIN,     _JOIN),
    Action.ACCEPT:       (_own,      _JOIN,               Move.SAME_DEVICE,   _JOIN,     _JOIN),
    Action.DECLINE:      (_own,      _DECLINE,            _elsewhere,         _STAY,     _STAY),
    Action.END:          (_CANCEL,   Move.DECLINE_DIRECT, Move.LEAVE_DIRECT,  _STAY,     _STAY),
    Action.LEAVE:        (_CANCEL,   _DECLINE,            _LEAVE,             _STAY,     _STAY),
    Action.TOKEN:        (_STAY,     _JOIN,               _STAY,              _JOIN,     _JOIN),
    Action.RING_TIMEOUT: (_GIVE_UP,  _GIVE_UP,            _GIVE_UP,           _GIVE_UP,  _GIVE_UP),
    Action.REMOVED:      (_CANCEL,   _DECLINE,            _LEAVE,             _STAY,     _STAY),
    Action.VANISHED:     (_STAY,     _STAY,               _STAY,              _STAY,     _STAY),
    Action.MEDIA_OVER:   (_STAY,     _STAY,               _STAY,              _STAY,     _STAY),
}
_ACTIVE: Final[dict[Action, tuple[Cell, ...]]] = {
    #                     CREATOR    CALLED               JOINED              AWAY       OUTSIDE
    Action.START:        (_STAY,     _JOIN,               _STAY,              _JOIN,     _JOIN),
    Action.ACCEPT:       (_STAY,     _JOIN,               Move.SAME_DEVICE,   _JOIN,     _JOIN),
    Action.DECLINE:      (_own,      _DECLINE,            _elsewhere,         _STAY,     _STAY),
    Action.END:          (_END,      Move.DECLINE_DIRECT, Move.LEAVE_DIRECT,  _STAY,     _STAY),
    Action.LEAVE:        (_LEAVE,    _DECLINE,            _LEAVE,             _STAY,     _STAY),
    Action.TOKEN:        (_STAY,     _JOIN,               _STAY,              _JOIN,     _JOIN),
    Action.RING_TIMEOUT: (_GIVE_UP,  _GIVE_UP,            _GIVE_UP,           _GIVE_UP,  _GIVE_UP),
    Action.REMOVED:      (_LEAVE,    _DECLINE,            _LEAVE,             _STAY,     _STAY),
    Action.VANISHED:     (_LEAVE,    _STAY,               _LEAVE,             _STAY,     _STAY),
    Action.MEDIA_OVER:   (_END,      _END,                _END,               _END,      _END),
}
_OVER: Final[dict[Action, tuple[Cell, ...]]] = {
    # Clients hang up what is over already, some of them twice: only joining it is an error.
    action: (_over if action in (Action.START, Action.ACCEPT, Action.TOKEN) else _STAY,) * len(Role)
    for action in Action
}
# fmt: on

TABLE: Final[dict[tuple[Status, Action, Role], Cell]] = {
    (status, action, role): cell
    for status in Status
    for action, cells in {Status.RINGING: _RINGING, Status.ACTIVE: _ACTIVE}.get(status, _OVER).items()
    for role, cell in zip(Role, cells, strict=True)
}


def ring(
    *,
    call_id: str,
    tenant_id: str,
    room_id: str,
    type: CallType,
    creator_id: str,
    device: str | None,
    user_ids: tuple[str, ...],
    max_participants: int,
    ring_s: int,
    now: int,
) -> Call:
    """A new call, ringing for everybody in the room (``user_ids``) but its creator.

    Raises:
        Conflicting: there is nobody else.
    """
    others = [user_id for user_id in user_ids if user_id != creator_id]
    if not others:
        raise errors.nobody_to_call()
    return Call(
        id=call_id,
        tenant_id=tenant_id,
        room_id=room_id,
        type=type,
        status=Status.RINGING,
        created_by=creator_id,
        is_group=len(others) > 1,
        media_room=f"fc_{tenant_id}_{room_id}_{call_id}",
        max_participants=max_participants,
        ring_s=ring_s,
        created_at=now,
        ring_until=now + ring_s * 1000,
        parties=(
            Party(creator_id, Standing.JOINED, device, joined_at=now),
            *[Party(user_id, Standing.CALLED) for user_id in others],
        ),
    )


def role_of(call: Call, user_id: str) -> Role:
    party = call.party(user_id)
    if party is None:
        return Role.OUTSIDE
    if party.standing is Standing.JOINED:
        return Role.CREATOR if user_id == call.created_by else Role.JOINED
    return Role.CALLED if party.standing is Standing.CALLED else Role.AWAY


def advance(call: Call, ask: Ask) -> Call:
    """The call after this; the same object when nothing changes.

    Raises:
        CallError: it cannot be done; the table says why.
    """
    cell = TABLE[call.status, ask.action, role_of(call, ask.user_id)]
    if not isinstance(cell, Move):
        raise cell()
    match cell:
        case Move.STAY:
            return call
        case Move.SAME_DEVICE:
            party = call.party(ask.user_id)
            if party is None or party.device != ask.device:
                raise errors.answered_elsewhere()
            return call
        case Move.JOIN:
            return _join(call, ask)
        case Move.GIVE_UP:
            return _give_up(call, ask.now)
        case Move.CANCEL if ask.unanswered:
            return _over_now(call, Status.MISSED, "no_answer", ask.now)
        case Move.CANCEL:
            return _over_now(call, Status.CANCELLED, "cancelled", ask.now)
        case Move.END if ask.creator_end_leaves and ask.action is Action.END and len(call.joined) > 2:
            return _leave(call, ask)
        case Move.END:
            return _over_now(call, Status.ENDED, "ended", ask.now)
        case Move.LEAVE_DIRECT | Move.DECLINE_DIRECT if call.is_group:
            raise errors.creator_ends()
        case Move.LEAVE | Move.LEAVE_DIRECT:
            return _leave(call, ask)
        case Move.DECLINE | Move.DECLINE_DIRECT:
            return _decline(call, ask)


def _join(call: Call, ask: Ask) -> Call:
    if len(call.joined) >= call.max_participants:
        raise errors.call_full()
    return _settled(
        msgspec.structs.replace(
            call,
            status=Status.ACTIVE,
            started_at=call.started_at or ask.now,
            parties=_with(call, Party(ask.user_id, Standing.JOINED, ask.device, joined_at=ask.now)),
        )
    )


def _leave(call: Call, ask: Ask) -> Call:
    left = _stand(call, ask, Standing.LEFT)
    return left if len(left.joined) > 1 else _over_now(left, Status.ENDED, "left", ask.now)


def _decline(call: Call, ask: Ask) -> Call:
    declined = _stand(call, ask, Standing.DECLINED)
    if call.status is Status.RINGING and not declined.called:
        return _over_now(declined, Status.DECLINED, "declined", ask.now)
    return _settled(declined)


def _give_up(call: Call, now: int) -> Call:
    if call.ring_until is None or now < call.ring_until:
        return call
    if call.status is Status.RINGING:
        return _over_now(call, Status.MISSED, "no_answer", now)
    return msgspec.structs.replace(call, ring_until=None, parties=_unanswered(call, now))


def _over_now(call: Call, status: Status, reason: str, now: int) -> Call:
    parties = [
        msgspec.structs.replace(party, standing=Standing.LEFT, left_at=now)
        if party.standing is Standing.JOINED
        else party
        for party in _unanswered(call, now)
    ]
    return msgspec.structs.replace(
        call, status=status, end_reason=reason, ended_at=now, ring_until=None, parties=tuple(parties)
    )


def _unanswered(call: Call, now: int) -> tuple[Party, ...]:
    return tuple(
        [
            msgspec.structs.replace(party, standing=Standing.MISSED, left_at=now)
            if party.standing is Standing.CALLED
            else party
            for party in call.parties
        ]
    )


def _stand(call: Call, ask: Ask, standing: Standing) -> Call:
    party = call.party(ask.user_id)
    assert party is not None  # OUTSIDE has no move that comes here
    changed = msgspec.structs.replace(
        party, standing=standing, device=ask.device or party.device, left_at=ask.now
    )
    return msgspec.structs.replace(call, parties=_with(call, changed))


def _with(call: Call, changed: Party) -> tuple[Party, ...]:
    if call.party(changed.user_id) is None:
        return (*call.parties, changed)
    return tuple([changed if party.user_id == changed.user_id else party for party in call.parties])


def _settled(call: Call) -> Call:
    """Nobody is called any more: nothing will be due."""
    return call if call.called else msgspec.structs.replace(call, ring_until=None)
