"""What clients say over sockets: decoded at once, or by way of any JSON where that tells what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.socket_events import (
    JoinRoom,
    LeaveRoom,
    RoomEvent,
    TypingEvent,
    TypingSaid,
    decode_event,
    read_event,
)
from gateway.errors import InvalidRequest

leaves = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from(["r1", "ann"]))
payloads = st.one_of(
    leaves,
    st.dictionaries(st.sampled_from(["roomId", "userId", "isTyping", "room_id", "more"]), leaves),
    st.fixed_dictionaries(
        {"roomId": st.just("r1")},
        optional={"userId": leaves, "isTyping": st.booleans(), "more": st.lists(leaves)},
    ),
)
names = st.sampled_from(["join-room", "leave-room", "typing", "shout"])


@pytest.mark.parametrize(
    ("said", "event"),
    [
        (["join-room", {"roomId": "r1"}], JoinRoom(RoomEvent("r1"))),
        (["leave-room", {"roomId": "r1", "userId": "ann"}], LeaveRoom(RoomEvent("r1", "ann"))),
        (["leave-room", "r1"], LeaveRoom("r1")),
        (
            ["typing", {"roomId": "r1", "isTyping": True, "more": 1}, "more"],
            TypingSaid(TypingEvent("r1", True)),
        ),
    ],
)
def test_each_event_is_known_by_its_name(said: list[Any], event: Any) -> None:
    assert decode_event(json.dumps(said)) == event
    assert read_event(said) == event


@given(name=names, arguments=st.lists(payloads, max_size=2))
def test_both_ways_take_the_same_events_for_the_same(name: str, arguments: list[Any]) -> None:
    said = [name, *arguments]
    try:
        event = read_event(said)
    except InvalidRequest:
        with pytest.raises(ValueError):  # noqa: PT011 - that is all it promises
            decode_event(json.dumps(said))
    else:
        assert decode_event(json.dumps(said)) == event


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(InvalidRequest, match=r"^Unknown event: shout\.$"):
        read_event(["shout"])
    with pytest.raises(InvalidRequest, match=r"^Malformed typing: .*isTyping.*\.$"):
        read_event(["typing", {"roomId": "r1"}])
