"""Who is missing, and since when."""

from __future__ import annotations

import pytest

from signaling.livekit.attendance import CONNECT_S, GONE_S, Attendance


def gone(
    attendance: Attendance, now: float, *, present: str = "", joined: str = "ab", active_s: float = 1_000
) -> str:
    found = attendance.gone("room", joined=set(joined), present=set(present), now=now, active_s=active_s)
    return "".join(sorted(found))


@pytest.fixture
def attendance() -> Attendance:
    """Of a room in which both were at second 100."""
    attendance = Attendance()
    assert gone(attendance, 100, present="ab") == ""
    return attendance


def test_who_was_there_is_gone_after_a_while_and_not_before(attendance: Attendance) -> None:
    assert gone(attendance, 101, present="a") == ""
    assert gone(attendance, 101 + GONE_S - 0.1, present="a") == ""
    assert gone(attendance, 101 + GONE_S, present="a") == "b"


def test_being_there_once_starts_the_count_again(attendance: Attendance) -> None:
    gone(attendance, 101, present="a")
    gone(attendance, 105, present="ab")
    gone(attendance, 106, present="a")
    assert gone(attendance, 106 + GONE_S - 0.1, present="a") == ""


def test_a_new_token_makes_a_newcomer_of_him(attendance: Attendance) -> None:
    gone(attendance, 101, present="a")
    attendance.expect("room", "b", now=105)
    assert gone(attendance, 105 + CONNECT_S - 0.1, present="a") == ""
    assert gone(attendance, 105 + CONNECT_S, present="a") == "b"


def test_a_newcomers_time_begins_with_his_token() -> None:
    attendance = Attendance()
    attendance.expect("room", "b", now=100)
    assert gone(attendance, 100 + CONNECT_S, present="a") == "b"


def test_a_creators_time_begins_when_somebody_answers() -> None:
    attendance = Attendance()
    attendance.expect("room", "a", now=100)
    assert gone(attendance, 140, present="b", active_s=1) == ""
    assert gone(attendance, 139 + CONNECT_S, present="b", active_s=CONNECT_S) == "a"


def test_somebody_of_whom_nothing_is_known_has_a_newcomers_time_from_now() -> None:
    attendance = Attendance()  # of a process that has just started, in the middle of a call
    assert gone(attendance, 500, present="a") == ""
    assert gone(attendance, 500 + CONNECT_S - 0.1, present="a") == ""
    assert gone(attendance, 500 + CONNECT_S, present="a") == "b"


def test_who_has_left_the_call_is_missed_no_more(attendance: Attendance) -> None:
    gone(attendance, 101, present="a")
    assert gone(attendance, 200, present="a", joined="a") == ""


def test_the_rooms_to_look_at_are_those_in_which_somebodys_time_is_over(attendance: Attendance) -> None:
    assert attendance.due(1_000) == []
    gone(attendance, 101, present="a")
    assert attendance.due(101 + GONE_S - 0.1) == []
    assert attendance.due(101 + GONE_S) == ["room"]
    gone(attendance, 101 + GONE_S, present="ab")
    assert attendance.due(1_000) == []


def test_rooms_of_calls_that_are_over_are_forgotten(attendance: Attendance) -> None:
    gone(attendance, 101, present="a")
    attendance.keep(["room"])
    assert attendance.due(1_000) == ["room"]
    attendance.keep(["another"])
    assert attendance.due(1_000) == []
