"""Who may call what: the whole route table against every kind of credential."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.api.table import ROUTES
from tests.api.access import ACTING, CREDENTIALS, EXPECTED, QUERIES
from tests.api.conftest import Client, Gateway

ROWS = [
    pytest.param(row, credential, id=f"{row.method} {row.path} by {credential}")
    for row in ROUTES
    for credential in CREDENTIALS
]


async def client(gateway: Gateway, credential: str) -> Client:
    match credential:
        case "key":
            return gateway.server
        case "other key":
            return gateway.other
        case "other user":
            return await gateway.user("member", of=gateway.other)
        case "operator" | "member" | "third" | "stranger":
            return await gateway.user(credential)
        case "expired token":
            late = await gateway.user("member")
            gateway.clock.now += 3_600
            return late
        case "garbage token":
            return Client(gateway.api, headers={"authorization": "Bearer a.b.c"})
        case "garbage key":
            return Client(gateway.api, headers={"x-api-key": "sk_live_0"})
        case _:
            return gateway.nobody


def test_every_route_says_who_may_call_it() -> None:
    assert {(row.method, row.path) for row in ROUTES} == EXPECTED.keys()
    for _, expected in EXPECTED.values():
        assert expected.keys() == set(CREDENTIALS)


@pytest.mark.parametrize(("row", "credential"), ROWS)
async def test_a_route_answers_each_credential_as_it_should(
    gateway: Gateway, row: Any, credential: str
) -> None:
    upload_id = await gateway.upload(await gateway.user("member"))
    room_id = await gateway.room("operator", "member", "third")
    body, expected = EXPECTED[row.method, row.path]
    caller = await client(gateway, credential)
    await gateway.server.post("/tenant-apps", {"appCode": "shop"})
    call_id = await a_call(gateway, room_id) if "/calls/" in row.path else "none"
    path = place(row.path, room_id, await a_message(gateway, room_id), upload_id, call_id) + QUERIES.get(
        row.path, ""
    )
    if not caller.user_id and row.method != "GET" and row.path in ACTING:
        if body is None:
            path += f"?{ACTING[row.path]}=member"
        else:
            body = {**body, ACTING[row.path]: "member"}
    answer = await caller.send(row.method, path, naming(room_id, body))
    assert answer.status == expected[credential], answer.body
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    if answer.status >= 400:
        assert answer.json.keys() == {"statusCode", "error", "message", "code"}
    if answer.status == 401:
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def place(
    path: str, room_id: str, message_id: str = "none", upload_id: str = "none", call_id: str = "none"
) -> str:
    """The path of a row, with what is to be found there."""
    return path.removeprefix("/v1").format(
        roomId=room_id,
        userId="third",
        messageId=message_id,
        token="t",
        appCode="shop",
        uploadId=upload_id,
        callId=call_id,
    )


async def a_call(gateway: Gateway, room_id: str) -> str:
    """The operator rings for the others."""
    started = await (await gateway.user("operator")).post(f"/chat/rooms/{room_id}/calls", {})
    call_id: str = started.json["call"]["id"]
    return call_id


def naming(room_id: str, body: Any) -> Any:
    """The body of a row, with the room in it."""
    return msgspec.json.decode(msgspec.json.encode(body).replace(b"{roomId}", room_id.encode()))


async def a_message(gateway: Gateway, room_id: str) -> str:
    """One that the member has sent."""
    body = {"senderId": "member", "parts": [{"type": "text", "text": "hi"}]}
    sent = await gateway.server.post(f"/chat/rooms/{room_id}/messages", body)
    message_id: str = sent.json["id"]
    return message_id


@pytest.mark.parametrize(
    "row", [row for row in ROUTES if "{roomId}" in row.path], ids=lambda row: f"{row.method} {row.path}"
)
async def test_a_room_one_may_not_see_looks_like_one_that_is_not(gateway: Gateway, row: Any) -> None:
    room_id = await gateway.room("operator", "member")
    body, _ = EXPECTED[row.method, row.path]
    stranger = await gateway.user("stranger")
    other = await gateway.user("member", of=gateway.other)
    unknown = "00000000-0000-4000-8000-000000000000"
    answers = [
        await stranger.send(row.method, place(row.path, room_id), body),
        await other.send(row.method, place(row.path, room_id), body),
        await stranger.send(row.method, place(row.path, unknown), body),
        await stranger.send(row.method, place(row.path, "no-uuid"), body),
        await stranger.send(row.method, place(row.path, "%00"), body),
    ]
    assert {answer.status for answer in answers} == {404}
    assert len({answer.body for answer in answers}) == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/chat/rooms?participantId=bob", None),
        ("GET", "/chat/rooms?viewerId=bob", None),
        ("GET", "/chat/rooms/{room}?viewerId=bob", None),
        ("GET", "/chat/rooms/{room}/messages?viewerId=bob", None),
        (
            "POST",
            "/chat/rooms/{room}/messages",
            {"senderId": "bob", "parts": [{"type": "text", "text": "x"}]},
        ),
        ("PATCH", "/chat/rooms/{room}/messages/{message}", {"userId": "bob", "parts": [{"type": "text"}]}),
        ("DELETE", "/chat/rooms/{room}/messages/{message}?userId=bob", None),
        ("POST", "/chat/rooms/{room}/messages/{message}/reactions", {"userId": "bob", "emoji": "x"}),
        ("POST", "/chat/rooms/{room}/messages/{message}/pin", {"userId": "bob"}),
        ("DELETE", "/chat/rooms/{room}/messages/{message}/pin?userId=bob", None),
        (
            "POST",
            "/chat/rooms/{room}/messages/{message}/forward",
            {"userId": "bob", "targetRoomIds": ["{roomId}"]},
        ),
        ("GET", "/chat/rooms/{room}/messages/{message}/replies?viewerId=bob", None),
        ("GET", "/chat/rooms/{room}/pinned-messages?viewerId=bob", None),
        ("GET", "/chat/search?q=x&viewerId=bob", None),
        ("POST", "/chat/rooms/{room}/delivery", {"userId": "bob"}),
        ("POST", "/chat/rooms/{room}/read", {"userId": "bob"}),
        ("POST", "/chat/rooms/{room}/clear-history", {"userId": "bob"}),
        ("DELETE", "/chat/rooms/{room}/for-me?userId=bob", None),
        ("DELETE", "/chat/rooms/{room}/participants/bob?actorUserId=bob", None),
    ],
)
async def test_a_user_cannot_act_as_another_but_may_say_who_he_is(
    gateway: Gateway, method: str, path: str, body: Any
) -> None:
    room_id = await gateway.room("ann", "bob")
    ann, bob = await gateway.user("ann"), await gateway.user("bob")
    sent = await bob.post(f"/chat/rooms/{room_id}/messages", {"parts": [{"type": "text", "text": "x"}]})
    path, body = path.format(room=room_id, message=sent.json["id"]), naming(room_id, body)
    assert (await ann.send(method, path, body)).status == 403
    assert (await bob.send(method, path, body)).status in (200, 201)


@pytest.mark.parametrize(
    ("path", "field"),
    [("messages", "senderId"), ("read", "userId"), ("delivery", "userId"), ("clear-history", "userId")],
)
async def test_the_backend_must_say_as_whom_it_acts(gateway: Gateway, path: str, field: str) -> None:
    room_id = await gateway.room("ann", "bob")
    answer = await gateway.server.post(
        f"/chat/rooms/{room_id}/{path}", {"parts": [{"type": "text", "text": "x"}]}
    )
    assert answer.status == 400
    assert field in answer.json["error"]
