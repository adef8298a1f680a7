"""A frozen room is there to be read: what users write into it is refused, what the backend writes is not."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api.table import ROUTES
from tests.api.conftest import Gateway

PARTS = [{"type": "text", "text": "hi"}]
# Every mutating route on a room. A route without an entry in one of the two fails the first test.
REFUSED: dict[tuple[str, str], Any] = {
    ("POST", "/messages"): {"parts": PARTS},
    ("PATCH", "/messages/{messageId}"): {"parts": PARTS},
    ("POST", "/messages/{messageId}/reactions"): {"emoji": "x"},
    ("POST", "/messages/{messageId}/pin"): {},
    ("DELETE", "/messages/{messageId}/pin"): None,
    ("POST", "/calls"): {},
}
# The API key does not call.
SESSION_ONLY = {("POST", "/calls")}
# What concerns the user alone, who is in the room, and what an operator needs to keep it in order.
TAKEN: dict[tuple[str, str], Any] = {
    ("PATCH", ""): {"name": "new"},
    ("POST", "/participants"): {"userId": "dan"},
    ("PATCH", "/participants/{userId}"): {"role": "OPERATOR"},
    ("DELETE", "/participants/{userId}"): None,
    ("POST", "/read"): {},
    ("POST", "/delivery"): {},
    ("POST", "/clear-history"): {},
    ("DELETE", "/for-me"): None,
    ("DELETE", "/messages/{messageId}"): None,
    # A call that is there goes on, and who is called may answer.
    ("POST", "/calls/{callId}/accept"): {},
    ("POST", "/calls/{callId}/decline"): {},
    ("POST", "/calls/{callId}/end"): {},
    ("POST", "/calls/{callId}/leave"): {},
    ("POST", "/calls/{callId}/token"): {},
    # Only the rooms that are forwarded to are written to.
    ("POST", "/messages/{messageId}/forward"): {"targetRoomIds": ["{elsewhere}"]},
}
# The API key says in whose name it writes.
NAMES = {"/messages": "senderId", "/messages/{messageId}/reactions": "userId"}


def test_every_route_that_changes_a_room_is_here() -> None:
    room = "/v1/chat/rooms/{roomId}"
    changing = {
        (row.method, row.path.removeprefix(room))
        for row in ROUTES
        if row.path.startswith(room) and row.method != "GET"
    }
    assert changing == {*REFUSED, *TAKEN}


@pytest.mark.parametrize(("method", "end"), [*REFUSED, *TAKEN], ids=str)
async def test_what_a_frozen_room_takes(gateway: Gateway, method: str, end: str) -> None:
    ann = await gateway.user("ann")
    room_id, elsewhere = await gateway.room("ann", "bob", "cid"), await gateway.room("ann", "bob")
    sent = await ann.post(f"/chat/rooms/{room_id}/messages", {"parts": PARTS})
    call_id = "none"
    if "{callId}" in end:
        caller = ann if end.endswith("/end") else await gateway.user("bob")
        call_id = (await caller.post(f"/chat/rooms/{room_id}/calls", {})).json["call"]["id"]
    await gateway.server.patch(f"/chat/rooms/{room_id}", {"isFrozen": True})
    path = f"/chat/rooms/{room_id}" + end.format(messageId=sent.json["id"], userId="bob", callId=call_id)
    body = {**REFUSED, **TAKEN}[method, end]
    if body is not None and "targetRoomIds" in body:
        body = {"targetRoomIds": [elsewhere]}

    answer = await ann.send(method, path, body)

    if (method, end) in TAKEN:
        assert answer.status in (200, 201), answer.body
        return
    assert (answer.status, answer.json["code"]) == (403, "room_frozen")
    if (method, end) in SESSION_ONLY:
        return
    if end in NAMES:
        body = {**body, NAMES[end]: "ann"}
    assert (await gateway.server.send(method, path, body)).status in (200, 201)
