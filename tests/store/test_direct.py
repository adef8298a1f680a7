from __future__ import annotations

import pytest

from gateway.store.direct import is_direct


def of(
    *,
    name: str | None = "Team",
    custom_type: str | None = None,
    external_id: str | None = None,
    participants: int = 3,
) -> bool:
    return is_direct(name=name, custom_type=custom_type, external_id=external_id, participants=participants)


@pytest.mark.parametrize(
    "word", ["dm", "DM", "demo_dm", "dm-chat", "direct", "Direct", "app:direct", "directMessage"]
)
def test_a_custom_type_with_the_word_dm_or_direct_is_a_direct_conversation(word: str) -> None:
    assert of(custom_type=word)


@pytest.mark.parametrize("word", ["", "demo_group", "admin", "redirect", "dmz", "directory"])
def test_a_custom_type_that_merely_contains_the_letters_is_not(word: str) -> None:
    assert not of(custom_type=word)


def test_so_is_an_external_id_that_says_so_and_a_nameless_room_of_two() -> None:
    assert of(external_id="dm:ann:bob")
    assert of(name=None, participants=2)
    assert of(name="", participants=2)


def test_everything_else_is_a_group() -> None:
    assert not of(external_id="x-dm:ann")
    assert not of(participants=2)
    assert not of(name=None, participants=3)
    assert not of(name=None, participants=1)
