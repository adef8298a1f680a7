"""REST by an ordinary HTTP client, and what its answers and the sockets say of the same thing."""

from __future__ import annotations

import concurrent.futures
import uuid
from typing import Any

import httpx2
import msgspec
import pytest

from tests.e2e.conftest import Opener
from tests.support.contract import Message, RoomDetail
from tests.support.platform import Platform, Rest, read, refusal

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def text(body: str) -> dict[str, Any]:
    return {"parts": [{"type": "text", "text": body}]}


def test_users_are_upserted_again_and_again_and_all_at_once(platform: Platform) -> None:
    user_id = f"many-{uuid.uuid4().hex}"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda _: platform.rest.post(
                    "/users", {"id": user_id, "username": "Many", "appCode": "demo"}
                ),
                range(32),
            )
        )

    assert {answer.status_code for answer in answers} <= {200, 201}
    assert platform.mint(user_id)["token"]


def test_minting_answers_a_token_and_when_it_ends(platform: Platform) -> None:
    ann = platform.person("ann")

    minted = platform.mint(ann.id, 600)

    assert minted["token"].count(".") == 2
    assert minted["expiresAt"].endswith("Z")
    refusal(platform.rest.post("/auth/token", {"userId": f"nobody-{uuid.uuid4().hex}"}), 404)
    for expires_in in (0, -1, 86_401, "600", 1.5):
        refusal(platform.rest.post("/auth/token", {"userId": ann.id, "expiresIn": expires_in}), 400)


@pytest.mark.parametrize("user_id", ["ann@example.org", "a/b:c d", "ünï-😀", "100%"])
def test_user_ids_are_the_platforms_own_strings(platform: Platform, user_id: str) -> None:
    own = f"{user_id}-{uuid.uuid4().hex}"
    read(platform.rest.post("/users", {"id": own, "username": "Odd"}), dict[str, Any])
    odd = platform.again(own)
    room = platform.room(odd)

    assert odd.send(room.id, "hello").sender_id == own
    assert [participant.user_id for participant in room.participants] == [own]


def test_a_retried_message_is_the_same_message_and_is_told_once(platform: Platform, device: Opener) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob)
    of_bob = device(bob)
    own_id = str(uuid.uuid4())

    first = ann.send(room.id, "hello", clientMessageId=own_id)
    again = ann.send(room.id, "hello", clientMessageId=own_id)
    last = ann.send(room.id, "last")

    assert again == first
    assert first.client_message_id == own_id
    of_bob.inbox.take("new-message", id=last.id)
    assert [m["id"] for m in of_bob.inbox.seen("new-message")] == [first.id, last.id]
    assert [m.id for m in ann.history(room.id)] == [first.id, last.id]


def test_one_client_message_id_sent_twenty_times_at_once_makes_one_message(platform: Platform) -> None:
    ann = platform.person("ann")
    room = platform.room(ann)
    own_id = str(uuid.uuid4())

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        sent = set(pool.map(lambda _: ann.send(room.id, "hello", clientMessageId=own_id).id, range(20)))

    assert len(sent) == 1
    assert [message.id for message in ann.history(room.id)] == list(sent)


def test_an_idempotency_key_gets_the_first_answer_again_and_emits_nothing(
    platform: Platform, device: Opener
) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob)
    of_bob = device(bob)
    path, key = f"/chat/rooms/{room.id}/messages", uuid.uuid4().hex

    first = ann.rest.post(path, text("hello"), Idempotency_Key=key)
    again = ann.rest.post(path, text("hello"), Idempotency_Key=key)
    by_another = bob.rest.post(path, text("hello"), Idempotency_Key=key)
    refusal(ann.rest.post(path, text("something else"), Idempotency_Key=key), 409)

    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert read(by_another, Message).id != read(first, Message).id, "keys are the caller's own"
    of_bob.inbox.take("new-message", id=by_another.json()["id"])
    assert len(of_bob.inbox.seen("new-message")) == 2


def test_an_external_id_names_one_room_however_often_it_is_created(platform: Platform) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    external_id = f"dm:{ann.id}:{bob.id}"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        rooms = list(pool.map(lambda _: platform.room(ann, bob, externalId=external_id), range(16)))

    assert len({room.id for room in rooms}) == 1
    listed = platform.rest.get("/chat/rooms", externalId=external_id).json()["rooms"]
    assert [room["id"] for room in listed] == [rooms[0].id]


def test_messages_are_paged_newest_first_without_gap_or_repeat(platform: Platform) -> None:
    ann = platform.person("ann")
    room = platform.room(ann)
    sent = [ann.send(room.id, str(number)) for number in range(23)]

    assert ann.messages(room.id).messages == sent[::-1]
    assert ann.history(room.id, limit=5) == sent
    assert ann.messages(room.id, limit=23).next_cursor is None
    assert [m.created_at for m in sent] == sorted({m.created_at for m in sent}), "strictly increasing"
    refusal(ann.rest.get(f"/chat/rooms/{room.id}/messages", cursor="nonsense"), 400)


def test_messages_that_arrive_meanwhile_do_not_shift_the_pages(platform: Platform) -> None:
    ann = platform.person("ann")
    room = platform.room(ann)
    sent = [ann.send(room.id, str(number)) for number in range(6)]

    first = ann.messages(room.id, limit=3)
    ann.send(room.id, "new")
    second = ann.messages(room.id, limit=3, cursor=first.next_cursor)

    assert first.messages + second.messages == sent[::-1]


def test_the_room_list_is_paged_by_latest_activity(platform: Platform) -> None:
    ann = platform.person("ann")
    rooms = [platform.room(ann, name=f"room {number}") for number in range(7)]
    active = rooms[2]
    ann.send(active.id, "up")

    listed: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        page = ann.rooms(**query)
        listed += [room.id for room in page.rooms]
        if page.next_cursor is None:
            break
        query["cursor"] = page.next_cursor

    assert listed[0] == active.id
    assert listed[1:] == [room.id for room in reversed(rooms) if room.id != active.id]


def test_unread_counts_and_last_messages_are_exact(platform: Platform) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob)

    def unread() -> list[int]:
        return [person.rooms().rooms[0].unread_count for person in (ann, bob)]

    assert unread() == [0, 0]
    assert ann.rooms().rooms[0].last_message is None
    sent = [ann.send(room.id, str(number)) for number in range(3)]
    assert unread() == [0, 3]
    bob.read_up_to(room.id, sent[1].id)
    assert unread() == [0, 1]
    bob.read_up_to(room.id, sent[0].id)  # never back
    assert unread() == [0, 1]
    bob.send(room.id, "answer")
    assert unread() == [1, 1]
    bob.read_up_to(room.id)
    assert unread() == [1, 0]

    summary = bob.rooms().rooms[0]
    assert summary.last_message is not None
    assert summary.last_message.preview_text == "answer"
    assert ann.messages(room.id).peer_last_read_at is not None


def test_what_the_caller_may_not_see_is_not_found_whatever_the_reason(
    platform: Platform, lone_platform: Platform
) -> None:
    """D3: unknown, another tenant's and not a participant's, all the same answer."""
    ann, eve, alien = platform.person("ann"), platform.person("eve"), lone_platform.person("alien")
    room, foreign = platform.room(ann), lone_platform.room(alien)

    for method, path, body in [
        ("GET", "", None),
        ("GET", "/messages", None),
        ("POST", "/messages", text("hello")),
        ("POST", "/read", {"userId": eve.id}),
    ]:
        bodies = {
            refusal(eve.rest.request(method, f"/chat/rooms/{room_id}{path}", body), 404)
            for room_id in (room.id, foreign.id, UNKNOWN, "not-a-uuid")
        }
        assert len(bodies) == 1, (method, path)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"parts": []},
        {"parts": "text"},
        {"parts": [1]},
        {"parts": [{"text": "no type"}]},
        {"parts": None},
        [],
        7,
        None,
    ],
    ids=repr,
)
def test_a_message_without_proper_parts_is_a_bad_request(platform: Platform, body: Any) -> None:
    ann = platform.person("ann")
    room = platform.room(ann)

    refusal(ann.rest.post(f"/chat/rooms/{room.id}/messages", body), 400)


@pytest.mark.parametrize(
    "content", [b"{", b"\xff\xfe", b"", b'{"parts":[{"type":"text","text":"\xc3"}]}', b"[" * 50_000]
)
def test_a_body_that_is_not_json_is_a_bad_request(platform: Platform, content: bytes) -> None:
    ann = platform.person("ann")
    room = platform.room(ann)

    answer = ann.rest.http.post(
        f"/chat/rooms/{room.id}/messages", content=content, headers={"Content-Type": "application/json"}
    )

    refusal(answer, 400)


def test_parts_of_any_kind_come_back_as_they_were_sent(platform: Platform) -> None:
    ann = platform.person("ann")
    room = platform.room(ann)
    parts = [
        {"type": "text", "text": 'grüße 😀 \u2028 \\ " \u0000', "mood": {"deep": [1, 2.5, None, True]}},
        {
            "type": "file",
            "url": "https://example.org/a.png",
            "mediaType": "image/*",
            "big": 12345678901234567890,
        },
        {"type": "data-poll", "data": {"question": "?", "options": []}},
    ]

    sent = ann.rest.post(f"/chat/rooms/{room.id}/messages", {"parts": parts})

    assert read(sent, Message)
    assert sent.json()["parts"] == parts
    listed = ann.rest.get(f"/chat/rooms/{room.id}/messages").json()["messages"]
    assert listed == [sent.json()]


def test_a_reply_carries_what_it_replies_to(platform: Platform) -> None:
    ann = platform.person("ann")
    room, other = platform.room(ann), platform.room(ann)
    parent, stranger = ann.send(room.id, "question"), ann.send(other.id, "elsewhere")

    reply = ann.send(room.id, "answer", parentMessageId=parent.id)

    assert reply.parent_message_id == parent.id
    assert reply.parent_message is not None
    assert reply.parent_message.parts[0].text == "question"
    body = {**text("answer"), "parentMessageId": stranger.id}
    assert not ann.rest.post(f"/chat/rooms/{room.id}/messages", body).is_success


def test_a_frozen_room_takes_messages_from_the_backend_only(platform: Platform) -> None:
    ann = platform.person("ann")
    room = platform.room(ann)
    changed = platform.rest.request("PATCH", f"/chat/rooms/{room.id}", {"isFrozen": True, "name": "Frozen"})
    assert read(changed, RoomDetail).is_frozen

    refusal(ann.rest.post(f"/chat/rooms/{room.id}/messages", text("hello")), 403)
    sent = platform.rest.post(f"/chat/rooms/{room.id}/messages", {"senderId": ann.id, **text("news")})
    assert read(sent, Message).sender_id == ann.id


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer nonsense"}, 401),
        ({"Authorization": "Basic abc"}, 401),
        ({"x-api-key": "sk_live_wrong"}, 401),
    ],
)
def test_no_good_credential_is_unauthorized(platform: Platform, headers: dict[str, str], status: int) -> None:
    with Rest(platform.url, headers) as rest:
        for method, path in [("GET", "/chat/rooms"), ("POST", "/users"), ("GET", f"/chat/rooms/{UNKNOWN}")]:
            refusal(rest.request(method, path), status)


def test_a_session_token_does_not_reach_what_is_the_backends(platform: Platform) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob)

    refusal(ann.rest.post("/auth/token", {"userId": ann.id}), 403)
    refusal(ann.rest.post("/users", {"id": "x", "username": "x"}), 403)
    refusal(ann.rest.request("PATCH", "/tenant/settings", {"chat": {}}), 403)
    refusal(ann.rest.post(f"/chat/rooms/{room.id}/messages", {"senderId": bob.id, **text("as bob")}), 403)
    refusal(ann.rest.post(f"/chat/rooms/{room.id}/read", {"userId": bob.id}), 403)


def test_a_good_api_key_goes_before_a_token_and_a_bad_one_does_not_spoil_it(platform: Platform) -> None:
    ann = platform.person("ann")

    answer = ann.rest.http.get("/chat/rooms", headers={"x-api-key": "sk_live_wrong"})
    assert answer.status_code == 200
    answer = ann.rest.http.get("/tenant/settings", headers={"x-api-key": platform.api_key})
    assert "webhookUrl" in answer.json()


def test_unknown_paths_and_methods_have_the_error_shape_too(platform: Platform) -> None:
    refusal(platform.rest.get("/no/such/path"), 404)
    refusal(platform.rest.get("/"), 404)
    answer = platform.rest.request("PUT", "/chat/rooms", {})
    refusal(answer, 405)
    assert {"GET", "POST"} <= set(answer.headers["allow"].replace(" ", "").split(","))


def test_a_browsers_preflight_is_answered_without_a_credential(platform: Platform) -> None:
    answer = httpx2.options(
        f"{platform.url}/v1/chat/rooms",
        headers={
            "Origin": "https://app.example.org",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,x-api-key,idempotency-key",
        },
        trust_env=False,
    )

    assert answer.status_code in {200, 204}
    allowed = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert {"authorization", "content-type", "x-api-key", "idempotency-key"} <= allowed
    methods = {name.strip() for name in answer.headers["access-control-allow-methods"].split(",")}
    assert {"GET", "POST", "PATCH", "DELETE", "OPTIONS"} <= methods
    assert answer.headers["access-control-allow-origin"] in {"*", "https://app.example.org"}
    assert int(answer.headers["access-control-max-age"]) >= 600


def test_browsers_may_read_every_answer_errors_and_polls_included(platform: Platform) -> None:
    origin = {"Origin": "https://app.example.org"}
    with httpx2.Client(base_url=platform.url, headers=origin, trust_env=False) as browser:
        for answer in [
            browser.get("/v1/chat/rooms", headers={"x-api-key": platform.api_key}),
            browser.get("/v1/chat/rooms"),
            browser.get("/v1/no/such/path"),
            browser.get("/socket.io/?EIO=4&transport=polling"),
            browser.get("/socket.io/?EIO=4&transport=polling&sid=unknown"),
        ]:
            assert answer.headers["access-control-allow-origin"] in {"*", "https://app.example.org"}, (
                answer.url
            )


def test_a_body_over_the_limit_is_413_and_one_of_half_a_megabyte_is_taken(platform: Platform) -> None:
    ann = platform.person("ann")
    room = platform.room(ann)
    path = f"/chat/rooms/{room.id}/messages"

    assert read(ann.rest.post(path, text("x" * 524_288)), Message).text == "x" * 524_288
    refusal(ann.rest.post(path, text("x" * 1_048_576)), 413)


def test_the_same_body_serves_the_answer_and_the_sockets(platform: Platform, device: Opener) -> None:
    ann = platform.person("ann")
    room = platform.room(ann)
    of_ann = device(ann)

    sent = ann.rest.post(f"/chat/rooms/{room.id}/messages", text("hello"))

    assert sent.status_code == 201
    assert of_ann.inbox.take("new-message", id=sent.json()["id"]) == msgspec.json.decode(sent.content)
