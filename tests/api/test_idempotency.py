from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.api.table import ROUTES
from tests.api.conftest import Client, Gateway

MESSAGE = {"senderId": "ann", "parts": [{"type": "text", "text": "hi"}]}
DEVICE = {"provider": "FCM", "token": "t"}
# For each mutating route a request that answers differently every time it is really done. A route without an
# entry fails the first test.
REQUESTS: dict[tuple[str, str], Any] = {
    ("POST", "/v1/users"): {"id": "ann", "username": "Ann"},
    ("POST", "/v1/auth/token"): {"userId": "ann"},
    ("POST", "/v1/users/{userId}/revoke-sessions"): None,
    ("PATCH", "/v1/tenant/settings"): {"chat": {"deletedMessagePlaceholder": "gone"}},
    ("POST", "/v1/users/me/device-tokens"): DEVICE,
    ("DELETE", "/v1/users/me/device-tokens/{token}"): None,
    ("POST", "/v1/users/{userId}/device-tokens"): DEVICE,
    ("POST", "/v1/tenant-apps"): {"appCode": "new"},
    ("PATCH", "/v1/tenant-apps/{appCode}"): {"name": "new"},
    ("DELETE", "/v1/tenant-apps/{appCode}"): None,
    ("POST", "/v1/chat/rooms"): {"participants": [{"id": "ann"}]},
    ("PATCH", "/v1/chat/rooms/{roomId}"): {"customType": "new"},
    ("POST", "/v1/chat/rooms/{roomId}/participants"): {"userId": "cid"},
    ("DELETE", "/v1/chat/rooms/{roomId}/participants/{userId}"): None,
    ("PATCH", "/v1/chat/rooms/{roomId}/participants/{userId}"): {"role": "OPERATOR"},
    ("DELETE", "/v1/chat/rooms/{roomId}/for-me?userId=ann"): None,
    ("POST", "/v1/chat/rooms/{roomId}/clear-history"): {"userId": "ann"},
    ("POST", "/v1/chat/rooms/{roomId}/messages"): MESSAGE,
    ("PATCH", "/v1/chat/rooms/{roomId}/messages/{messageId}"): {"parts": MESSAGE["parts"]},
    ("DELETE", "/v1/chat/rooms/{roomId}/messages/{messageId}"): None,
    ("POST", "/v1/chat/rooms/{roomId}/messages/{messageId}/reactions"): {"userId": "ann", "emoji": "x"},
    ("POST", "/v1/chat/rooms/{roomId}/messages/{messageId}/pin"): {"userId": "ann"},
    ("DELETE", "/v1/chat/rooms/{roomId}/messages/{messageId}/pin"): None,
    ("POST", "/v1/chat/rooms/{roomId}/messages/{messageId}/forward"): {
        "userId": "ann",
        "targetRoomIds": ["{roomId}"],
    },
    ("POST", "/v1/chat/uploads/presign"): {"filename": "a", "mediaType": "image/png", "sizeBytes": 3},
    ("POST", "/v1/chat/uploads/{uploadId}/complete"): None,
    ("DELETE", "/v1/chat/uploads/{uploadId}"): None,
    ("POST", "/v1/chat/rooms/{roomId}/delivery"): {"userId": "ann"},
    ("POST", "/v1/chat/rooms/{roomId}/read"): {"userId": "ann"},
    ("POST", "/v1/chat/rooms/{roomId}/calls"): {"type": "audio"},
    ("POST", "/v1/chat/rooms/{roomId}/calls/{callId}/accept"): {},
    ("POST", "/v1/chat/rooms/{roomId}/calls/{callId}/decline"): {},
    ("POST", "/v1/chat/rooms/{roomId}/calls/{callId}/end"): {"reason": "cancelled"},
    ("POST", "/v1/chat/rooms/{roomId}/calls/{callId}/leave"): {},
    ("POST", "/v1/chat/rooms/{roomId}/calls/{callId}/token"): {},
}
# Ends the very credential of the request: a repeat is nobody's any more.
ENDS_ITSELF = {("POST", "/v1/auth/revoke")}
CHANGED = [{"type": "text", "text": "changed"}]
KEY = {"idempotency-key": "k1"}


async def change_everything(gateway: Gateway, room_id: str, parent_id: str) -> None:
    """Change whatever the requests above answer with, so that doing one again would answer otherwise."""
    server = gateway.server
    await server.post("/users", {"id": "ann", "username": "Changed", "avatarUrl": "changed"})
    await server.patch("/tenant/settings", {"chat": {"theme": "changed"}})
    await server.patch(f"/chat/rooms/{room_id}", {"name": "changed"})
    await server.patch(f"/chat/rooms/{room_id}/messages/{parent_id}", {"parts": CHANGED})
    await server.post(f"/chat/rooms/{room_id}/messages", {**MESSAGE, "senderId": "bob"})
    await server.patch("/tenant-apps/shop", {"pushPayloadType": "DATA"})
    await server.delete(f"/chat/rooms/{room_id}/participants/ann")  # her calls end, and are not hers any more
    for user_id in ("cid", "ann"):  # the token comes back to ann as another device
        await server.post("/users", {"id": user_id})
        await server.post(f"/users/{user_id}/device-tokens", DEVICE)
    gateway.clock.now += 1


def test_every_mutating_route_has_a_request_here() -> None:
    requests = {(method, path.partition("?")[0]) for method, path in REQUESTS} | ENDS_ITSELF
    mutating = {(row.method, row.path) for row in ROUTES if row.method != "GET" and not row.changes_nothing}
    assert mutating == requests


@pytest.mark.parametrize(("method", "path"), REQUESTS, ids=lambda part: str(part))
async def test_a_repeat_gets_the_first_answer_and_nothing_happens(
    gateway: Gateway, method: str, path: str
) -> None:
    ann, bob = await gateway.user("ann"), await gateway.user("bob")
    caller = ann if any(part in path for part in ("/me/", "/uploads/", "/calls")) else gateway.server
    upload_id = await gateway.upload(ann)
    await gateway.server.post("/tenant-apps", {"appCode": "shop"})
    room_id = await gateway.room("ann", "bob")
    # The message that requests are about is a reply, and so changes with what it replies to.
    parent = await gateway.server.post(f"/chat/rooms/{room_id}/messages", MESSAGE)
    reply = await gateway.server.post(
        f"/chat/rooms/{room_id}/messages", {**MESSAGE, "parentMessageId": parent.json["id"]}
    )
    call_id = ""
    if "{callId}" in path:
        call_id = (await bob.post(f"/chat/rooms/{room_id}/calls", {})).json["call"]["id"]
    target = path.removeprefix("/v1").format(
        roomId=room_id,
        callId=call_id,
        userId="bob",
        messageId=reply.json["id"],
        token="t",
        appCode="shop",
        uploadId=upload_id,
    )
    body = msgspec.json.encode(REQUESTS[method, path]).replace(b"{roomId}", room_id.encode())
    first = await caller.send(method, target, body, headers=KEY)
    assert first.status in (200, 201)
    await change_everything(gateway, room_id, parent.json["id"])
    await ann.delete(f"/chat/uploads/{upload_id}")
    gateway.fanout.told.clear()
    again = await caller.send(method, target, body, headers=KEY)
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers == first.headers
    assert gateway.fanout.told == []
    other = await caller.send(method, target, body, headers={"idempotency-key": "k2"})
    assert other.body != first.body


async def test_the_same_key_for_another_request_is_a_conflict(gateway: Gateway) -> None:
    here, there = await gateway.room("ann", "bob"), await gateway.room("ann", "cid")
    await gateway.server.post(f"/chat/rooms/{here}/messages", MESSAGE, headers=KEY)
    other_words = {**MESSAGE, "parts": [{"type": "text", "text": "other"}]}
    for room_id, body in ((here, other_words), (there, MESSAGE)):
        answer = await gateway.server.post(f"/chat/rooms/{room_id}/messages", body, headers=KEY)
        assert (answer.status, answer.json["code"]) == (409, "idempotency_key_reused")


async def test_keys_belong_to_a_credential(gateway: Gateway) -> None:
    ann, bob = await gateway.user("ann"), await gateway.user("bob")
    room_id = await gateway.room("ann", "bob")
    body = {"parts": MESSAGE["parts"]}
    answers = [
        await client.post(f"/chat/rooms/{room_id}/messages", {**body, **extra}, headers=KEY)
        for client, extra in ((ann, {}), (bob, {}), (gateway.server, {"senderId": "ann"}))
    ]
    assert [answer.status for answer in answers] == [201] * 3
    assert len({answer.json["id"] for answer in answers}) == 3


async def test_a_refusal_is_not_kept(gateway: Gateway) -> None:
    ann, room_id = await gateway.user("ann"), await gateway.room("bob", "cid")
    path = f"/chat/rooms/{room_id}/messages"
    assert (await ann.post(path, {"parts": MESSAGE["parts"]}, headers=KEY)).status == 404
    bad = await gateway.server.post("/users", {"id": 7}, headers=KEY)
    good = await gateway.server.post("/users", {"id": "x"}, headers=KEY)
    assert (bad.status, good.status) == (400, 200)


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_key_that_cannot_be_one_is_refused(gateway: Gateway, key: str) -> None:
    answer = await gateway.server.post("/users", {"id": "ann"}, headers={"idempotency-key": key})
    assert answer.status == 400
    assert "Idempotency-Key" in answer.json["error"]
    assert await gateway.store.user(gateway.tenant_id, "ann") is None


async def test_the_longest_key_is_taken(gateway: Gateway) -> None:
    headers = {"idempotency-key": "x" * 255}
    assert (await gateway.server.post("/users", {"id": "ann"}, headers=headers)).status == 200


async def test_reading_takes_no_notice_of_a_key(gateway: Gateway) -> None:
    client = Client(gateway.api, headers={**gateway.server.headers, **KEY})
    before = (await client.get("/chat/rooms")).json["rooms"]
    await gateway.room("ann", "bob")
    assert len((await client.get("/chat/rooms")).json["rooms"]) == len(before) + 1
