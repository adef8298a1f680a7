"""Search on the real gateway, which indexes by itself."""

from __future__ import annotations

import time
from typing import Any

from tests.support.inbox import PATIENCE_S
from tests.support.platform import Person, Platform, read


def found(person: Person, text: str) -> list[str]:
    page = read(person.rest.get("/chat/search", q=text), dict[str, Any])
    return [message["id"] for message in page["messages"]]


def test_what_is_sent_is_soon_found_by_its_readers_and_what_is_deleted_no_more(platform: Platform) -> None:
    ann, bob, eve = (platform.person(name) for name in ("ann", "bob", "eve"))
    room = platform.room(ann, bob)
    sent = ann.send(room.id, "The parcel is at the neighbours'")
    deadline = time.monotonic() + PATIENCE_S
    while not found(bob, "neighbour parcel"):
        # Each look is a request; there is no event to wait for.
        assert time.monotonic() < deadline
    assert found(bob, "parcel") == found(ann, "parcel") == [sent.id]
    assert found(eve, "parcel") == []
    ann.rest.request("DELETE", f"/chat/rooms/{room.id}/messages/{sent.id}")
    assert found(bob, "parcel") == []
