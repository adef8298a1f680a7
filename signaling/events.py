"""Who is told what of a call (contract 5.3): the difference between a call before and after, put into events.

What is easy to get wrong, since clients act on these events without comparing what call they are about:

- ``call-invite`` never goes to the creator: his other devices would ring (contract appendix A 18).
- ``call-declined`` ends the call of every client in one; so in a group nobody gets it, and in a 1:1 ``call-ended`` follows
  it at once for the callee's other devices, which ignore the first (appendix A 16, 30).
- ``call-ended`` to the device that has just accepted would kill its call: it goes to the user's other devices only,
  and to none when the accepting one is not connected (appendix A 17, D6).
- Who talks in another room's call must not hear of an end on the device he talks on: its client would end that one
  (appendix A 16). His other devices, which may ring, are told. Who is in the room but neither rings nor talks in this
  call is told of its end to take the join bar away, and while he talks elsewhere he is not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from signaling.call import Call, CallType, Standing, Status

_ENCODE = msgspec.json.Encoder().encode


class Notice(msgspec.Struct, frozen=True):
    """One event for the devices of some users.

    Attributes:
        payload: one JSON object.
        but_device: for one user: the device (``jti``) that is not told, and without which nobody is.
    """

    user_ids: tuple[str, ...]
    event: str
    payload: bytes
    but_device: str | None = None


class CallInvite(msgspec.Struct, frozen=True, rename="camel"):
    call_id: str
    room_id: str
    type: CallType
    created_by_user_id: str
    livekit_room_name: str


class CallAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """``call-accepted`` and ``call-declined``; ``user_id`` is who did."""

    call_id: str
    room_id: str
    user_id: str


class CallEnded(msgspec.Struct, frozen=True, rename="camel"):
    call_id: str
    room_id: str
    reason: str


def invite(call: Call, user_ids: Collection[str]) -> Notice:
    """Let it ring for these users."""
    event = CallInvite(call.id, call.room_id, call.type, call.created_by, call.media_room)
    return Notice(tuple(user_ids), "call-invite", _ENCODE(event))


def notices(
    before: Call | None, after: Call, *, user_ids: Sequence[str], engaged: Mapping[str, str | None]
) -> tuple[Notice, ...]:
    """What to tell, in this order.

    Args:
        before: None when the call begins.
        user_ids: who is in the room.
        engaged: those of them who talk in another room's call, and on which device.
    """
    if before is None:
        return (invite(after, [user_id for user_id in user_ids if user_id != after.created_by]),)
    if before is after:
        return ()
    if not after.status.live:
        return _over(before, after, user_ids, engaged)
    told = []
    present = frozenset(user_ids)
    was = {party.user_id: party.standing for party in before.parties}
    missed = []
    for party in after.parties:
        user_id, standing, device = party.user_id, party.standing, party.device
        if was.get(user_id) is standing:
            continue
        if standing is Standing.JOINED:
            if was.get(user_id) is Standing.LEFT:
                continue  # he comes back, which is nobody's news
            told.append(_answer(after, "call-accepted", user_ids, user_id))
            if was.get(user_id) is Standing.CALLED and device is not None:
                told.append(_ended(after, [user_id], "answered_elsewhere", but_device=device))
        elif user_id not in present:
            told.append(_ended(after, [user_id], "left"))
        elif standing is Standing.MISSED:
            missed.append(user_id)
        elif standing is Standing.DECLINED:
            # His other devices still ring; for everybody else the call goes on.
            told.append(_ended(after, [user_id], "declined", but_device=device))
    if missed:
        told += _sparing([_ended(after, missed, "no_answer")], before, engaged)
    return tuple(told)


def _over(
    before: Call, after: Call, user_ids: Sequence[str], engaged: Mapping[str, str | None]
) -> tuple[Notice, ...]:
    concerned = before.called | before.joined
    told = [user_id for user_id in user_ids if user_id in concerned or user_id not in engaged]
    told += sorted(concerned.difference(user_ids))  # who was just removed from the room
    end = [_ended(after, told, after.end_reason or "ended")]
    if after.status is Status.DECLINED and not after.is_group:
        (decliner,) = before.called
        end.insert(0, _answer(after, "call-declined", told, decliner))
    return tuple(_sparing(end, before, engaged))


def _sparing(notices: Iterable[Notice], before: Call, engaged: Mapping[str, str | None]) -> list[Notice]:
    """The same, but not for the devices on which somebody talks in another room's call (and in that one only)."""
    talking = {
        user_id: device
        for user_id, device in engaged.items()
        if device is not None and ((party := before.party(user_id)) is None or party.device != device)
    }
    spared = []
    for notice in notices:
        if rest := tuple([user_id for user_id in notice.user_ids if user_id not in talking]):
            spared.append(Notice(rest, notice.event, notice.payload))
        spared += [
            Notice((user_id,), notice.event, notice.payload, talking[user_id])
            for user_id in notice.user_ids
            if user_id in talking
        ]
    return spared


def _answer(call: Call, event: str, user_ids: Sequence[str], user_id: str) -> Notice:
    return Notice(tuple(user_ids), event, _ENCODE(CallAnswer(call.id, call.room_id, user_id)))


def _ended(call: Call, user_ids: Sequence[str], reason: str, *, but_device: str | None = None) -> Notice:
    return Notice(
        tuple(user_ids), "call-ended", _ENCODE(CallEnded(call.id, call.room_id, reason)), but_device
    )
