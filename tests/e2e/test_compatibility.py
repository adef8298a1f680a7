"""The ways in which published clients are known to break, one test each (contract, appendix A, by its numbers).

What a client reads is spelled out here, rather than asked of the gateway's own records. Those of calls have a file of
their own, ``test_call_compatibility.py``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from tests.e2e.conftest import Opener
from tests.support.engine import Peer, next_packet
from tests.support.platform import Person, Platform, Rest, read

TEXT = [{"type": "text", "text": "hello"}]
GONE_SOON = timedelta(minutes=5)  # published clients take what expires sooner for expired
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


@pytest.fixture
def ann(platform: Platform) -> Person:
    return platform.person("ann")


@pytest.fixture
def bob(platform: Platform) -> Person:
    return platform.person("bob")


@pytest.fixture
def peer(ann: Person) -> Peer:
    return Peer(url=ann.url, path="/socket.io/", connect=f"40{json.dumps(ann.auth)}")


def answers(platform: Platform, ann: Person, bob: Person) -> Iterator[httpx2.Response]:
    """Each call that the published clients make and whose answer they decode, once, with success."""
    eve = platform.person("eve")
    room, other = platform.room(ann, bob, name="Team"), platform.room(ann, bob)
    message, pinned = ann.send(room.id, "one"), ann.send(room.id, "two")
    base, rest = f"/chat/rooms/{room.id}", ann.rest
    yield rest.get("/chat/rooms", limit=50)
    yield rest.get(base)
    yield rest.get(f"{base}/messages")
    yield rest.post(f"{base}/messages", {"senderId": ann.id, "parts": TEXT})
    yield rest.request("PATCH", f"{base}/messages/{message.id}", {"userId": ann.id, "parts": TEXT})
    yield rest.post(f"{base}/messages/{message.id}/reactions", {"userId": ann.id, "emoji": "👍"})
    yield rest.post(f"{base}/messages/{pinned.id}/pin", {"userId": ann.id})
    yield rest.get(f"{base}/pinned-messages")
    yield rest.request("DELETE", f"{base}/messages/{pinned.id}/pin?userId={ann.id}")
    yield rest.post(f"{base}/messages/{message.id}/forward", {"userId": ann.id, "targetRoomIds": [other.id]})
    yield rest.request("DELETE", f"{base}/messages/{message.id}?userId={ann.id}")
    yield rest.post(f"{base}/read", {"userId": ann.id})
    yield rest.post(f"{base}/delivery", {"userId": ann.id, "lastDeliveredMessageId": None})
    yield rest.post(f"{base}/participants", {"userId": eve.id, "actorUserId": ann.id})
    yield rest.request("DELETE", f"{base}/participants/{eve.id}?actorUserId={ann.id}")
    yield rest.post(f"{base}/clear-history", {"userId": ann.id})
    yield rest.request("DELETE", f"{base}/for-me?userId={ann.id}")
    yield rest.post("/users/me/device-tokens", {"provider": "FCM", "token": f"t-{ann.id}", "platform": "ios"})
    yield rest.get("/tenant/storage")
    upload = read(rest.post("/chat/uploads/presign", announced()), dict[str, Any])
    put(upload, PNG)
    yield rest.post(f"/chat/uploads/{upload['uploadId']}/complete", {})
    yield rest.get(f"/chat/uploads/{upload['uploadId']}/access")
    yield rest.post("/chat/uploads/access", {"uploadIds": [upload["uploadId"]]})


def refusals(ann: Person, bob: Person, room_id: str) -> Iterator[httpx2.Response]:
    """An answer of each status that clients meet when something is wrong."""
    base = f"/chat/rooms/{room_id}"
    with Rest(ann.url, {"Authorization": "Bearer nonsense"}) as stranger:
        yield stranger.get("/chat/rooms")
    yield ann.rest.post("/auth/token", {"userId": ann.id})
    yield ann.rest.get("/chat/rooms/none")
    yield ann.rest.get("/nowhere")
    yield ann.rest.request("PUT", "/chat/rooms")
    yield ann.rest.post(f"{base}/messages", {"senderId": ann.id, "parts": []})
    yield ann.rest.post(f"{base}/messages", {"senderId": 7})
    yield ann.rest.request("POST", f"{base}/messages", content=b"{")
    yield ann.rest.post(f"{base}/messages", {"senderId": bob.id, "parts": TEXT})
    yield ann.rest.get(f"{base}/messages", cursor="nonsense")


def announced(
    media_type: str = "image/png", filename: str = "cat.png", size: int = len(PNG)
) -> dict[str, Any]:
    return {"filename": filename, "mediaType": media_type, "sizeBytes": size}


def put(
    upload: dict[str, Any], data: bytes, media_type: str = "image/png", **headers: str
) -> httpx2.Response:
    """The PUT of a browser: the bytes, their type, and nothing else."""
    return httpx2.put(
        upload["uploadUrl"],
        content=data,
        headers={"Content-Type": media_type, **headers},
        trust_env=False,
    )


def uploaded(person: Person, media_type: str = "image/png", filename: str = "cat.png") -> str:
    upload = read(person.rest.post("/chat/uploads/presign", announced(media_type, filename)), dict[str, Any])
    sent = put(upload, PNG, media_type)
    assert sent.is_success, sent.text
    read(person.rest.post(f"/chat/uploads/{upload['uploadId']}/complete", {}), dict[str, Any])
    return str(upload["uploadId"])


def left(timestamp: str) -> timedelta:
    return datetime.fromisoformat(timestamp) - datetime.now(UTC)


def test_1_every_answer_that_is_decoded_has_a_json_body(platform: Platform, ann: Person, bob: Person) -> None:
    for answer in answers(platform, ann, bob):
        assert answer.is_success, (answer.request.url, answer.text)
        assert answer.status_code != 204
        assert isinstance(answer.json(), dict), answer.request.url


def test_2_an_error_is_two_sentences_and_a_whole_number(platform: Platform, ann: Person, bob: Person) -> None:
    for answer in refusals(ann, bob, platform.room(ann, bob).id):
        body = answer.json()
        assert isinstance(body["message"], str)
        assert isinstance(body["error"], str)
        assert type(body["statusCode"]) is int
        assert body["statusCode"] == answer.status_code


def test_3_the_word_that_is_shown_is_the_one_that_explains(
    platform: Platform, ann: Person, bob: Person
) -> None:
    for answer in refusals(ann, bob, platform.room(ann, bob).id):
        body = answer.json()
        assert body["error"] == body["message"]
        assert body["error"].lower() != answer.reason_phrase.lower()
        assert " " in body["error"]


def test_4_whatever_is_cast_without_a_question_is_there_and_of_its_type(
    platform: Platform, ann: Person, bob: Person
) -> None:
    room = platform.room(ann, bob, externalId="4711")
    sent = ann.send(room.id, "hello")
    deleted = ann.send(room.id, "gone")
    read(ann.rest.request("DELETE", f"/chat/rooms/{room.id}/messages/{deleted.id}"), dict[str, Any])

    (listed,) = ann.rest.get("/chat/rooms", externalId="4711").json()["rooms"]
    messages = ann.rest.get(f"/chat/rooms/{room.id}/messages").json()["messages"]
    storage = ann.rest.get("/tenant/storage").json()

    assert listed["externalId"] == "4711"
    assert type(listed["unreadCount"]) is int
    assert [message["id"] for message in messages] == [deleted.id, sent.id]
    for message in messages:
        assert isinstance(message["parts"], list)
        assert isinstance(message["createdAt"], str)
        assert isinstance(message["reactions"], list)
    assert [type(storage[key]) for key in ("bytesUsed", "fileCount", "pendingBytes")] == [int, int, int]


def test_5_a_page_of_messages_is_newest_first(platform: Platform, ann: Person, bob: Person) -> None:
    room = platform.room(ann, bob)
    sent = [ann.send(room.id, str(number)).id for number in range(5)]

    page = bob.rest.get(f"/chat/rooms/{room.id}/messages", limit=3).json()
    older = bob.rest.get(f"/chat/rooms/{room.id}/messages", limit=3, cursor=page["nextCursor"]).json()

    assert [message["id"] for message in page["messages"] + older["messages"]] == sent[::-1]
    assert older["nextCursor"] is None


def test_6_senders_hear_their_own_messages(
    platform: Platform, ann: Person, bob: Person, any_device: Opener
) -> None:
    room = platform.room(ann, bob)
    own = any_device(ann)

    sent = ann.send(room.id, "hello")

    own.inbox.take("new-message", id=sent.id)


def test_7_messages_come_without_joining_the_room(
    platform: Platform, ann: Person, bob: Person, any_device: Opener
) -> None:
    room = platform.room(ann, bob)
    device = any_device(bob)

    sent = ann.send(room.id, "hello")

    device.inbox.take("new-message", id=sent.id)


def test_8_nothing_precedes_the_answer_to_connect(peer: Peer) -> None:
    socket, _ = peer.open_websocket()

    socket.send(peer.connect)
    first = next_packet(socket)
    socket.close()

    assert first.startswith("40{")


def test_9_a_websocket_needs_no_polling_before_it(peer: Peer) -> None:
    socket, handshake = peer.open_websocket()
    socket.send(peer.connect)

    assert handshake["upgrades"] == []
    assert next_packet(socket).startswith("40{")
    socket.close()


def test_10_the_answer_to_connect_carries_a_sid(peer: Peer) -> None:
    socket, handshake = peer.open_websocket()
    socket.send(peer.connect)
    answer = json.loads(next_packet(socket)[2:])
    socket.close()

    assert isinstance(answer["sid"], str)
    assert answer["sid"]
    assert answer["sid"] != handshake["sid"]


def test_11_the_server_pings(brisk_peers: dict[str, Peer]) -> None:
    socket = brisk_peers["gateway"].connected_websocket()

    while socket.receive() != "2":
        pass
    socket.send("3")
    while socket.receive() != "2":
        pass
    socket.close()


def test_12_leaving_names_a_room_in_either_form_and_leaves_no_other(
    platform: Platform, ann: Person, bob: Person, any_device: Opener
) -> None:
    first, second = platform.room(ann, bob), platform.room(ann, bob)
    device = any_device(ann)
    device.emit("join-room", {"roomId": first.id, "userId": ann.id})
    device.inbox.take("joined-room", roomId=first.id)
    device.emit("join-room", {"roomId": second.id, "userId": ann.id})
    device.inbox.take("joined-room", roomId=second.id)

    device.emit("leave-room", {"roomId": first.id, "userId": ann.id})
    device.emit("leave-room", first.id)
    watcher = any_device(bob)
    watcher.emit("join-room", {"roomId": second.id, "userId": bob.id})

    assert ann.id in watcher.inbox.take("presence-snapshot")["onlineUserIds"]
    device.emit("leave-room", second.id)
    device.inbox.take("left-room", roomId=second.id)
    watcher.inbox.take("presence", userId=ann.id, online=False)


def test_13_a_url_lives_longer_than_clients_trust_it(ann: Person) -> None:
    upload_id = uploaded(ann)

    access = ann.rest.get(f"/chat/uploads/{upload_id}/access").json()
    (batch,) = ann.rest.post("/chat/uploads/access", {"uploadIds": [upload_id]}).json()["urls"]

    assert left(access["accessUrlExpiresAt"]) > 2 * GONE_SOON
    assert left(batch["accessUrlExpiresAt"]) > 2 * GONE_SOON


def test_14_a_file_part_has_a_url_wherever_it_appears(
    platform: Platform, ann: Person, bob: Person, any_device: Opener
) -> None:
    room = platform.room(ann, bob)
    device = any_device(bob)
    part = {"type": "file", "uploadId": uploaded(ann), "mediaType": "image/png", "filename": "cat.png"}
    base = f"/chat/rooms/{room.id}/messages"

    sent = ann.rest.post(base, {"senderId": ann.id, "parts": [part]}).json()
    reply = ann.rest.post(base, {"senderId": ann.id, "parts": TEXT, "parentMessageId": sent["id"]}).json()
    heard = device.inbox.take("new-message", id=sent["id"])
    listed = bob.rest.get(base).json()["messages"]

    for message in (sent, heard, listed[1], reply["parentMessage"], listed[0]["parentMessage"]):
        (shown,) = message["parts"]
        assert shown["url"] == shown["accessUrl"]
        assert left(shown["accessUrlExpiresAt"]) > GONE_SOON
        assert httpx2.get(shown["url"], trust_env=False).content == PNG


def test_15_a_browser_of_another_origin_may_put_with_the_url_alone(ann: Person) -> None:
    upload = read(ann.rest.post("/chat/uploads/presign", announced()), dict[str, Any])

    asked = httpx2.options(
        upload["uploadUrl"],
        headers={
            "Origin": "https://app.example.org",
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "content-type",
        },
        trust_env=False,
    )
    sent = put(upload, PNG, Origin="https://app.example.org")

    assert asked.is_success
    assert "PUT" in asked.headers["access-control-allow-methods"]
    assert "content-type" in asked.headers["access-control-allow-headers"].lower()
    for answer in (asked, sent):
        assert answer.headers["access-control-allow-origin"] in ("*", "https://app.example.org")
    assert sent.is_success


def test_23_an_unknown_app_does_not_stop_a_user(platform: Platform, ann: Person) -> None:
    answer = platform.rest.post("/users", {"id": ann.id, "username": "Ann", "appCode": "never-made"})

    assert answer.is_success, answer.text


def test_24_who_is_removed_is_told(platform: Platform, ann: Person, bob: Person, any_device: Opener) -> None:
    room = platform.room(ann, bob)
    device = any_device(bob)

    ann.rest.request("DELETE", f"/chat/rooms/{room.id}/participants/{bob.id}?actorUserId={ann.id}")

    device.inbox.take("room-participants-changed", roomId=room.id)


def test_25_who_connects_is_in_the_tenants_snapshot(ann: Person, any_device: Opener) -> None:
    assert ann.id in any_device(ann).inbox.take("tenant-presence-snapshot")["onlineUserIds"]


def test_26_the_room_list_is_quick(platform: Platform, ann: Person, bob: Person) -> None:
    """Every client asks for it after every message; ``python -m bench rooms`` measures it, this only holds it in bounds."""
    for _ in range(60):
        ann.send(platform.room(ann, bob).id, "hello")
    took = []
    for _ in range(20):
        began = time.perf_counter()
        assert len(ann.rest.get("/chat/rooms", limit=50).json()["rooms"]) == 50
        took.append(time.perf_counter() - began)

    assert sorted(took)[10] < 0.05


def test_28_a_voice_messages_type_is_matched_without_its_parameters(lone_platform: Platform) -> None:
    narrow = {"chat": {"media": {"allowedMimeTypes": ["audio/webm"]}}}
    read(lone_platform.rest.request("PATCH", "/tenant/settings", narrow), dict[str, Any])
    ann = lone_platform.person("ann")

    assert uploaded(ann, "audio/webm;codecs=opus", "voice-message-1.webm")
    refused = ann.rest.post("/chat/uploads/presign", announced("video/webm;codecs=opus"))
    assert refused.status_code == 415


def test_31_a_sessions_end_is_a_time_that_is_not_near(platform: Platform, ann: Person) -> None:
    minted = platform.mint(ann.id)

    assert isinstance(minted["expiresAt"], str)
    assert minted["expiresAt"].endswith("Z")
    assert left(minted["expiresAt"]) > GONE_SOON
