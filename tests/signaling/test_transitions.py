"""The table, walked through cell by cell: every phase with every action by every role, in calls of two and of three."""

from __future__ import annotations

from itertools import product

import msgspec
import pytest

from signaling.call import Call, Party, Standing, Status
from signaling.errors import Barred, CallError, Conflicting
from signaling.transitions import TABLE, Action, Ask, Role, advance, ring, role_of

NOW = 1_800_000_000_000
CREATOR, CALLED, JOINED, AWAY, OUTSIDE = "ann", "bob", "cid", "dee", "eve"
WHO = {
    Role.CREATOR: CREATOR,
    Role.CALLED: CALLED,
    Role.JOINED: JOINED,
    Role.AWAY: AWAY,
    Role.OUTSIDE: OUTSIDE,
}
STANDINGS = {
    CREATOR: Standing.JOINED,
    CALLED: Standing.CALLED,
    JOINED: Standing.JOINED,
    AWAY: Standing.DECLINED,
}


def call_of(status: Status, *, is_group: bool, without: tuple[str, ...] = ()) -> Call:
    """A call with somebody in every role, which is more than can be; the table must hold for it all the same."""
    over = not status.live
    return Call(
        id="c",
        tenant_id="t",
        room_id="r",
        type="audio",
        status=status,
        created_by=CREATOR,
        is_group=is_group,
        media_room="fc_t_r_c",
        max_participants=8,
        ring_s=30,
        created_at=NOW,
        ring_until=None if over else NOW + 30_000,
        started_at=NOW + 1 if status in (Status.ACTIVE, Status.ENDED) else None,
        ended_at=NOW + 2 if over else None,
        parties=tuple(
            [
                Party(who, standing, f"{who}-phone")
                for who, standing in STANDINGS.items()
                if who not in without
            ]
        ),
    )


def after(status: Status, action: Action, role: Role, is_group: bool) -> tuple[Call, Call | CallError]:
    call = call_of(status, is_group=is_group)
    ask = Ask(action=action, now=NOW + 60_000, user_id=WHO[role], device=f"{WHO[role]}-phone")
    try:
        return call, advance(call, ask)
    except CallError as error:
        return call, error


def test_the_table_is_total() -> None:
    assert set(TABLE) == set(product(Status, Action, Role))


def test_a_role_follows_from_the_standing() -> None:
    call = call_of(Status.ACTIVE, is_group=True)
    assert {role: role_of(call, who) for role, who in WHO.items()} == {role: role for role in Role}


@pytest.mark.parametrize("is_group", [False, True])
@pytest.mark.parametrize(("status", "action", "role"), list(TABLE))
def test_whatever_is_asked_leaves_a_call_that_can_be(
    status: Status, action: Action, role: Role, is_group: bool
) -> None:
    call, result = after(status, action, role, is_group)
    if isinstance(result, CallError):
        assert not any(word in result.message.lower() for word in ("notallowed", "permission", "denied"))
        return
    assert result.created_by == call.created_by
    if result.status.live:
        assert result.ended_at is None
        assert result.end_reason is None
        assert (result.ring_until is None) == (not result.called)
    elif result is not call:
        assert result.ended_at == NOW + 60_000
        assert result.end_reason in ("ended", "cancelled", "declined", "no_answer", "left")
        assert not result.joined | result.called  # nobody is left behind in it
        assert result.ring_until is None
    if result.status is Status.ACTIVE:
        assert result.started_at is not None
        assert len(result.joined) > 1
    # Somebody else's standing changes only when time is up or the call is over.
    if result.status.live and action is not Action.RING_TIMEOUT:
        before = {party for party in call.parties if party.user_id != WHO[role]}
        assert before <= set(result.parties)


@pytest.mark.parametrize("is_group", [False, True])
@pytest.mark.parametrize(("action", "role"), list(product(Action, Role)))
@pytest.mark.parametrize("status", [status for status in Status if not status.live])
def test_what_is_over_stays_as_it_is(status: Status, action: Action, role: Role, is_group: bool) -> None:
    call, result = after(status, action, role, is_group)
    if action in (Action.START, Action.ACCEPT, Action.TOKEN):
        assert isinstance(result, Conflicting)
        assert result.code == "call_over"
    else:
        assert result is call


# What each cell comes to for a call of three or more: the status after it, or the refusal.
RINGING, ACTIVE = Status.RINGING, Status.ACTIVE
IN_A_GROUP: dict[tuple[Status, Action], tuple[object, ...]] = {
    #                              CREATOR           CALLED         JOINED                AWAY     OUTSIDE
    (RINGING, Action.START): (RINGING, ACTIVE, RINGING, ACTIVE, ACTIVE),
    (RINGING, Action.ACCEPT): ("own_call", ACTIVE, RINGING, ACTIVE, ACTIVE),
    (RINGING, Action.DECLINE): ("own_call", "declined", "answered_elsewhere", RINGING, RINGING),
    (RINGING, Action.END): ("cancelled", "not_creator", "not_creator", RINGING, RINGING),
    (RINGING, Action.LEAVE): ("cancelled", "declined", "left", RINGING, RINGING),
    (RINGING, Action.TOKEN): (RINGING, ACTIVE, RINGING, ACTIVE, ACTIVE),
    (RINGING, Action.RING_TIMEOUT): ("no_answer",) * 5,
    (RINGING, Action.REMOVED): ("cancelled", "declined", "left", RINGING, RINGING),
    (RINGING, Action.VANISHED): (RINGING,) * 5,
    (RINGING, Action.MEDIA_OVER): (RINGING,) * 5,
    (ACTIVE, Action.START): (ACTIVE,) * 5,
    (ACTIVE, Action.ACCEPT): (ACTIVE,) * 5,
    (ACTIVE, Action.DECLINE): ("own_call", ACTIVE, "answered_elsewhere", ACTIVE, ACTIVE),
    (ACTIVE, Action.END): ("ended", "not_creator", "not_creator", ACTIVE, ACTIVE),
    (ACTIVE, Action.LEAVE): ("left", ACTIVE, "left", ACTIVE, ACTIVE),
    (ACTIVE, Action.TOKEN): (ACTIVE,) * 5,
    (ACTIVE, Action.RING_TIMEOUT): (ACTIVE,) * 5,
    (ACTIVE, Action.REMOVED): ("left", ACTIVE, "left", ACTIVE, ACTIVE),
    (ACTIVE, Action.VANISHED): ("left", ACTIVE, "left", ACTIVE, ACTIVE),
    (ACTIVE, Action.MEDIA_OVER): ("ended",) * 5,
}


@pytest.mark.parametrize(("status", "action", "role"), list(product((RINGING, ACTIVE), Action, Role)))
def test_each_cell_comes_to_what_the_contract_says(status: Status, action: Action, role: Role) -> None:
    _, result = after(status, action, role, True)
    expected = IN_A_GROUP[status, action][list(Role).index(role)]
    if isinstance(result, CallError):
        assert result.code == expected
    elif result.status.live:
        assert result.status is expected
    else:
        assert result.end_reason == expected


def ann_calls(*others: str, **more: int) -> Call:
    return ring(
        **{
            "call_id": "c",
            "tenant_id": "t",
            "room_id": "r",
            "type": "video",
            "creator_id": "ann",
            "device": "ann-phone",
            "user_ids": ("ann", *others),
            "max_participants": 8,
            "ring_s": 45,
            "now": NOW,
            **more,
        }  # type: ignore[arg-type]
    )


def does(call: Call, user_id: str, action: Action, **more: object) -> Call:
    ask = Ask(action=action, now=NOW + 5_000, user_id=user_id, device=f"{user_id}-phone")
    return advance(call, msgspec.structs.replace(ask, **more))


def test_nobody_is_called_by_who_is_alone() -> None:
    with pytest.raises(Conflicting, match="nobody else"):
        ann_calls()


def test_a_group_rings_on_while_somebody_has_not_declined() -> None:
    call = does(ann_calls("bob", "cid"), "bob", Action.DECLINE)
    assert call.status is Status.RINGING
    assert does(call, "cid", Action.DECLINE).status is Status.DECLINED


def test_a_decliner_may_still_join_a_group_that_talks() -> None:
    call = does(ann_calls("bob", "cid"), "bob", Action.DECLINE)
    call = does(call, "cid", Action.ACCEPT)
    assert does(call, "bob", Action.TOKEN).joined == {"ann", "bob", "cid"}


def test_who_has_not_answered_when_time_is_up_may_still_join_a_group_that_talks() -> None:
    call = does(ann_calls("bob", "cid"), "bob", Action.ACCEPT)
    call = does(call, "", Action.RING_TIMEOUT, now=NOW + 45_000)
    assert call.party("cid") == Party("cid", Standing.MISSED, left_at=NOW + 45_000)
    assert does(call, "cid", Action.ACCEPT).joined == {"ann", "bob", "cid"}


def test_a_ring_is_not_over_before_its_time() -> None:
    call = ann_calls("bob")
    assert does(call, "", Action.RING_TIMEOUT, now=NOW + 44_999) is call
    assert does(call, "", Action.RING_TIMEOUT, now=NOW + 45_000).status is Status.MISSED


def test_a_creator_who_gives_up_says_whether_he_waited_long_enough() -> None:
    assert does(ann_calls("bob"), "ann", Action.END, unanswered=True).status is Status.MISSED
    assert does(ann_calls("bob"), "ann", Action.END).status is Status.CANCELLED


def test_what_the_creator_says_of_the_reason_does_not_matter_once_it_was_answered() -> None:
    call = does(ann_calls("bob"), "bob", Action.ACCEPT)
    assert does(call, "ann", Action.END, unanswered=True).status is Status.ENDED


def test_nobody_joins_a_full_call() -> None:
    call = does(ann_calls("bob", "cid", max_participants=2), "bob", Action.ACCEPT)
    with pytest.raises(Conflicting, match="full"):
        does(call, "cid", Action.ACCEPT)
    assert does(call, "bob", Action.TOKEN) is call


def test_the_second_device_to_answer_is_told_that_it_lost_the_race() -> None:
    call = does(ann_calls("bob"), "bob", Action.ACCEPT)
    assert does(call, "bob", Action.ACCEPT) is call  # the same one, asking again
    with pytest.raises(Conflicting, match="another device"):
        does(call, "bob", Action.ACCEPT, device="bob-tablet")
    with pytest.raises(Conflicting, match="another device"):
        does(call, "bob", Action.DECLINE, device="bob-tablet")


def test_the_end_of_a_group_call_is_a_leave_where_the_tenant_wants_it_so() -> None:
    call = does(does(ann_calls("bob", "cid"), "bob", Action.ACCEPT), "cid", Action.ACCEPT)
    left = does(call, "ann", Action.END, creator_end_leaves=True)
    assert left.status is Status.ACTIVE
    assert left.joined == {"bob", "cid"}
    two = does(call, "cid", Action.LEAVE)
    assert does(two, "ann", Action.END, creator_end_leaves=True).end_reason == "ended"


def test_between_two_whoever_ends_it_leaves() -> None:
    call = does(ann_calls("bob"), "bob", Action.ACCEPT)
    assert does(call, "bob", Action.END).end_reason == "left"
    assert does(ann_calls("bob"), "bob", Action.END).status is Status.DECLINED


def test_only_who_started_a_group_call_ends_it() -> None:
    call = does(does(ann_calls("bob", "cid"), "bob", Action.ACCEPT), "cid", Action.ACCEPT)
    with pytest.raises(Barred):
        does(call, "bob", Action.END)


def test_a_call_has_begun_when_it_was_first_answered() -> None:
    call = does(ann_calls("bob", "cid"), "bob", Action.ACCEPT)
    assert call.started_at == NOW + 5_000
    later = does(call, "cid", Action.ACCEPT, now=NOW + 9_000)
    assert later.started_at == NOW + 5_000
    assert later.party("cid") == Party("cid", Standing.JOINED, "cid-phone", joined_at=NOW + 9_000)
