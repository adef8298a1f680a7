"""Who is where, by the word of several nodes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.attendance import Attendance

Word = tuple[str, str, str]

words = st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.sampled_from(["ann", "bob"]))


def test_the_first_to_say_so_brings_a_user_and_the_last_to_take_it_back_removes_him() -> None:
    attendance = Attendance()
    assert attendance.enter("a", "room", "ann") is True
    assert attendance.enter("b", "room", "ann") is False
    assert attendance.leave("a", "room", "ann") is False
    assert list(attendance.here("room")) == ["ann"]
    assert attendance.leave("b", "room", "ann") is True
    assert list(attendance.here("room")) == []


def test_saying_it_twice_is_saying_it_once() -> None:
    attendance = Attendance()
    attendance.enter("a", "room", "ann")
    assert attendance.enter("a", "room", "ann") is None
    attendance.leave("a", "room", "ann")
    assert attendance.leave("a", "room", "ann") is None
    assert attendance.leave("a", "elsewhere", "ann") is None


def test_what_a_node_says_anew_takes_the_place_of_all_it_said() -> None:
    attendance = Attendance()
    attendance.enter("a", "x", "ann")
    attendance.enter("a", "x", "bob")
    attendance.enter("b", "x", "bob")
    changes = attendance.replace("a", {"y": {"ann"}})
    assert sorted(changes) == [("x", "ann", False), ("y", "ann", True)]
    assert list(attendance.said_by("a")) == [("y", "ann")]
    assert list(attendance.here("x")) == ["bob"]


def test_nothing_is_kept_of_a_node_that_is_gone() -> None:
    attendance = Attendance()
    attendance.enter("a", "x", "ann")
    attendance.replace("a", {})
    assert not attendance._here
    assert not attendance._alone


@given(st.lists(st.tuples(st.booleans(), words)))
def test_it_is_what_the_nodes_say_taken_together(steps: list[tuple[bool, Word]]) -> None:
    attendance, said = Attendance(), set[Word]()
    for entering, (node, place, user) in steps:
        before = any(p == place and u == user for _, p, u in said)
        news = (node, place, user) not in said if entering else (node, place, user) in said
        (said.add if entering else said.discard)((node, place, user))
        after = any(p == place and u == user for _, p, u in said)
        answer = (attendance.enter if entering else attendance.leave)(node, place, user)
        assert answer is (None if not news else before is not after)
        assert set(attendance.said_by(node)) == {(p, u) for n, p, u in said if n == node}
        assert set(attendance.here(place)) == {u for _, p, u in said if p == place}
    assert attendance.count() == len({(place, user) for _, place, user in said})
