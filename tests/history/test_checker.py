"""The checker on histories: a good one has nothing in it, and each kind of fault that is put into it is found."""

from __future__ import annotations

import pytest

from tests.history.checker import Kind, Violation, check
from tests.history.records import MESSAGE, ROSTER, Change, History, Send, Stored, Told, Visit

ROOM = "team"


class World:
    """Ann and Bob in a room, in which ten messages were sent one after the other, and Bob's only session, which lasted.

    Message ``n`` was sent from ``n`` to ``n`` + 0.5; Bob's session began at 0.
    """

    def __init__(self) -> None:
        self.sends = [Send(ROOM, f"c{n}", n, n + 0.5, [f"m{n}"]) for n in range(1, 11)]
        self.stored = [Stored(f"m{n}", f"c{n}") for n in range(1, 11)]
        self.visit = Visit("device", "bob", 0.0, lasted=True)
        self.history = History(
            members={ROOM: {"ann", "bob"}},
            sends=self.sends,
            visits=[self.visit],
            stored={ROOM: self.stored},
        )
        self.tell(*range(1, 11))

    def tell(self, *numbers: int) -> None:
        self.visit.told = [Told(MESSAGE, ROOM, f"m{n}", 10 * n) for n in numbers]

    def found(self) -> set[Kind]:
        return {violation.kind for violation in check(self.history)}


@pytest.fixture
def world() -> World:
    return World()


def test_everything_once_and_in_order_is_right(world: World) -> None:
    assert check(world.history) == []


@pytest.mark.parametrize("missing", [1, 5, 10])
def test_a_message_that_was_not_told_is_lost(world: World, missing: int) -> None:
    world.tell(*(n for n in range(1, 11) if n != missing))

    assert check(world.history) == [
        Violation(Kind.LOST, f"device of bob has never got m{missing} in team"),
    ]


def test_nobody_need_be_told_of_what_was_sent_before_he_came_when_he_has_fetched_it(world: World) -> None:
    world.visit.began = 4.2
    world.visit.fetched = {ROOM: ["m1", "m2", "m3", "m4"]}
    world.tell(*range(5, 11))

    assert check(world.history) == []


def test_what_is_neither_fetched_nor_told_is_lost(world: World) -> None:
    world.visit.began = 4.2
    world.visit.fetched = {ROOM: ["m1", "m2", "m3"]}
    world.tell(*range(5, 11))

    assert world.found() == {Kind.LOST}


def test_who_could_not_fetch_may_still_count_on_what_is_sent_from_then_on(world: World) -> None:
    world.visit.began = 4.2
    world.tell(*range(5, 11))
    assert check(world.history) == []

    world.tell(*range(6, 11))
    assert world.found() == {Kind.LOST}


def test_a_session_that_was_given_up_may_end_anywhere_but_has_no_holes(world: World) -> None:
    world.visit.lasted = False
    world.tell(1, 2, 3)
    assert check(world.history) == []

    world.tell(1, 3)
    assert world.found() == {Kind.LOST}


@pytest.mark.parametrize("number", [50, 55], ids=["with the same offset", "with another"])
def test_a_message_that_is_told_twice_is_doubled(world: World, number: int) -> None:
    world.visit.told.insert(5, Told(MESSAGE, ROOM, "m5", number))

    assert world.found() == {Kind.DOUBLED}


def test_a_message_that_was_fetched_before_it_was_told_is_not_doubled(world: World) -> None:
    world.visit.fetched = {ROOM: ["m1", "m2", "m3"]}

    assert check(world.history) == []


def test_messages_that_are_told_in_another_order_than_the_store_has_are_reordered(world: World) -> None:
    world.tell(1, 2, 4, 3, 5, 6, 7, 8, 9, 10)
    assert world.found() == {Kind.REORDERED}

    told = world.visit.told
    told[2], told[3] = (
        Told(MESSAGE, ROOM, "m4", 30),
        Told(MESSAGE, ROOM, "m3", 40),
    )
    assert world.found() == {Kind.REORDERED}


def test_offsets_that_fall_are_a_wrong_order_whatever_the_events_are(world: World) -> None:
    world.visit.told.insert(3, Told("room-read", "other", "", 5))

    assert world.found() == {Kind.REORDERED}


def test_what_is_fetched_in_a_wrong_order_or_twice_is_found_too(world: World) -> None:
    world.visit.fetched = {ROOM: ["m2", "m1"]}
    assert world.found() == {Kind.REORDERED}

    world.visit.fetched = {ROOM: ["m1", "m1"]}
    assert world.found() == {Kind.DOUBLED}


def test_what_was_sent_after_an_acknowledgement_must_be_stored_after_it(world: World) -> None:
    world.stored[2], world.stored[3] = world.stored[3], world.stored[2]
    world.tell(1, 2, 4, 3, *range(5, 11))
    world.visit.told = [Told(MESSAGE, ROOM, told.id, n) for n, told in enumerate(world.visit.told)]

    assert world.found() == {Kind.REORDERED}


def test_messages_that_were_under_way_together_may_be_stored_in_any_order(world: World) -> None:
    world.sends[2].ended = 4.2
    world.stored[2], world.stored[3] = world.stored[3], world.stored[2]
    world.visit.told = [Told(MESSAGE, ROOM, stored.id, n) for n, stored in enumerate(world.stored)]

    assert check(world.history) == []


def test_an_edit_that_one_member_was_told_of_is_told_to_all(world: World) -> None:
    edit = Told("message-updated", ROOM, "m3", 35)
    ann = Visit("device", "ann", 0.0, [*world.visit.told[:3], edit, *world.visit.told[3:]], lasted=True)
    world.history.visits.append(ann)
    assert check(world.history) == [Violation(Kind.LOST, f"device of bob has never got {edit}")]

    world.visit.told.insert(3, edit)
    assert check(world.history) == []


def test_who_was_cut_off_before_an_edit_has_not_lost_it(world: World) -> None:
    ann = Visit(
        "device", "ann", 0.0, [*world.visit.told, Told("message-updated", ROOM, "m3", 105)], lasted=True
    )
    world.history.visits.append(ann)
    world.visit.lasted = False

    assert check(world.history) == []


def test_an_outsider_who_is_told_anything_overhears(world: World) -> None:
    told = [Told(MESSAGE, ROOM, "m3", 30)]
    world.history.visits.append(Visit("device", "dan", 0.0, told, lasted=True))
    assert world.found() == {Kind.OVERHEARD}

    told[0] = Told("room-read", ROOM, "", 31)
    assert world.found() == {Kind.OVERHEARD}


class TestSomebodyWhoComesAndGoes:
    """Bob is removed from 3.6 to 3.8, between the third and the fourth message, and let in again from 6.6 to 6.8."""

    @pytest.fixture
    def world(self) -> World:
        world = World()
        world.history.changes = [
            Change(ROOM, "bob", False, 3.6, 3.8),
            Change(ROOM, "bob", True, 6.6, 6.8),
        ]
        world.tell(1, 2, 3, 7, 8, 9, 10)
        return world

    def test_is_told_of_what_was_sent_in_his_time(self, world: World) -> None:
        assert check(world.history) == []

    def test_and_of_all_of_it(self, world: World) -> None:
        world.tell(1, 2, 3, 7, 9, 10)
        assert world.found() == {Kind.LOST}

    @pytest.mark.parametrize("overheard", [4, 5, 6])
    def test_and_of_nothing_else(self, world: World, overheard: int) -> None:
        world.tell(1, 2, 3, overheard, 7, 8, 9, 10)
        assert world.found() == {Kind.OVERHEARD}

    def test_may_or_may_not_hear_what_was_under_way(self, world: World) -> None:
        world.history.changes[0].began = 3.2
        assert check(world.history) == []
        world.tell(1, 2, 7, 8, 9, 10)
        assert check(world.history) == []

        world.history.changes[0].ended = 4.2
        world.tell(1, 2, 3, 4, 7, 8, 9, 10)
        assert check(world.history) == []

    def test_hears_nothing_after_the_word_that_he_is_out(self, world: World) -> None:
        world.history.changes[0].ended = 4.2
        world.visit.told[3:3] = [
            Told(ROSTER, ROOM, "bob", 35, "removed"),
            Told(MESSAGE, ROOM, "m4", 40),
            Told(ROSTER, ROOM, "bob", 65, "joined"),
        ]
        assert world.found() == {Kind.OVERHEARD}

        del world.visit.told[4]
        assert check(world.history) == []


def test_an_acknowledged_message_that_the_store_does_not_have_is_found(world: World) -> None:
    world.sends.append(Send(ROOM, "c11", 11, 11.5, ["m11"]))

    assert check(world.history) == [Violation(Kind.UNSTORED, "c11, as m11")]


def test_a_message_that_was_never_acknowledged_may_be_stored_or_not(world: World) -> None:
    world.sends.append(Send(ROOM, "c11", 11))
    assert check(world.history) == []

    world.stored.append(Stored("m11", "c11"))
    world.visit.told.append(Told(MESSAGE, ROOM, "m11", 110))
    assert check(world.history) == []


def test_one_message_that_is_stored_or_acknowledged_as_two_is_doubled(world: World) -> None:
    world.stored.append(Stored("m11", "c10"))
    world.visit.told.append(Told(MESSAGE, ROOM, "m11", 110))
    assert world.found() == {Kind.DOUBLED}

    world.sends[-1].ids.append("m11")
    assert world.found() == {Kind.DOUBLED}


def test_a_message_that_was_told_and_is_not_stored_is_found(world: World) -> None:
    world.visit.told.append(Told(MESSAGE, ROOM, "m11", 110))

    assert world.found() == {Kind.INVENTED}


def test_what_nobody_expects_is_found(world: World) -> None:
    world.history.strange.append("500")

    assert world.found() == {Kind.STRANGE}
