"""Calls over REST: who is told what, and what stays of it in the room."""

from __future__ import annotations

import jwt
import msgspec
import pytest

from tests.api.conftest import Gateway
from tests.api.talk import Talk, talk


async def test_a_call_rings_is_answered_and_ends(gateway: Gateway) -> None:
    both = await talk(gateway, "ann", "bob")
    started = await both.users["ann"].post(both.calls, {"type": "audio"})
    assert started.status == 201
    call, media = started.json["call"], started.json["livekit"]
    assert started.json["ringTimeoutSeconds"] == 45
    assert call == {
        "id": call["id"],
        "roomId": both.room_id,
        "type": "audio",
        "status": "ringing",
        "livekitRoomName": f"fc_{gateway.tenant_id}_{both.room_id}_{call['id']}",
        "createdByUserId": "ann",
        "isGroup": False,
        "createdAt": call["createdAt"],
        "startedAt": None,
        "endedAt": None,
        "endReason": None,
        "participants": [
            {"userId": "ann", "status": "joined", "joinedAt": call["createdAt"], "leftAt": None},
            {"userId": "bob", "status": "ringing", "joinedAt": None, "leftAt": None},
        ],
    }
    assert media["url"] == "wss://media.test"
    assert media["expiresAt"].endswith("Z")
    assert gateway.media.rooms == {call["livekitRoomName"]: 8}
    assert [told.json for told in gateway.fanout.told] == [
        {
            "callId": call["id"],
            "roomId": both.room_id,
            "type": "audio",
            "createdByUserId": "ann",
            "livekitRoomName": call["livekitRoomName"],
        }
    ]
    assert both.told() == [("call-invite", ("bob",))]

    gateway.clock.now += 2
    accepted = await both.does("bob", "accept", call)
    assert (accepted.status, accepted.json["call"]["status"]) == (200, "active")
    assert accepted.json["livekit"]["token"] == f"{call['livekitRoomName']} bob"
    assert gateway.fanout.told[0].json == {"callId": call["id"], "roomId": both.room_id, "userId": "bob"}
    assert both.told() == [("call-accepted", ("ann", "bob"))]
    ((user_id, _, event),) = gateway.fanout.other_devices.told
    assert (user_id, event) == ("bob", "call-ended")

    token = await both.does("ann", "token", call)
    assert token.json["livekit"]["token"] == token.json["token"] == f"{call['livekitRoomName']} ann"
    assert both.told() == []

    gateway.clock.now += 65
    ended = await both.does("ann", "end", call)
    assert ended.json["status"] == ended.json["call"]["status"] == "ended"
    assert ended.json["endReason"] == "ended"
    assert gateway.fanout.told[0].json == {"callId": call["id"], "roomId": both.room_id, "reason": "ended"}
    assert both.told() == [("call-ended", ("ann", "bob")), ("new-message", ("ann", "bob"))]
    assert gateway.media.rooms == {}
    assert await both.logs() == [
        {
            "callId": call["id"],
            "callType": "audio",
            "outcome": "completed",
            "initiatedByUserId": "ann",
            "isGroup": False,
            "durationSeconds": 65,
        }
    ]
    rooms = await both.users["bob"].get("/chat/rooms")
    assert rooms.json["rooms"][0]["lastMessage"]["previewText"] == "Voice call · 1 min"


async def test_a_call_between_two_that_is_declined_is_over_on_every_device(gateway: Gateway) -> None:
    both = await talk(gateway, "ann", "bob")
    call = await both.start("ann")
    declined = await both.does("bob", "decline", call)
    assert (declined.json["status"], declined.json["endReason"]) == ("declined", "declined")
    assert both.told() == [
        ("call-declined", ("ann", "bob")),
        ("call-ended", ("ann", "bob")),
        ("new-message", ("ann", "bob")),
    ]
    assert [log["outcome"] for log in await both.logs()] == ["declined"]


async def test_who_declines_a_group_call_disturbs_nobody(gateway: Gateway) -> None:
    group = await talk(gateway, "ann", "bob", "cid")
    call = await group.start("ann")
    assert call["isGroup"] is True
    assert (await group.does("bob", "decline", call)).json["status"] == "ringing"
    assert group.told() == []
    assert [told[::2] for told in gateway.fanout.other_devices.told] == [("bob", "call-ended")]
    assert (await group.does("cid", "decline", call)).json["status"] == "declined"
    assert group.told() == [("call-ended", ("ann", "bob", "cid")), ("new-message", ("ann", "bob", "cid"))]


@pytest.mark.parametrize(
    ("reason", "status", "outcome"),
    [
        (None, "cancelled", "cancelled"),
        ("cancelled", "cancelled", "cancelled"),
        ("no_answer", "missed", "missed"),
    ],
)
async def test_who_hangs_up_while_it_rings_says_why(
    gateway: Gateway, reason: str | None, status: str, outcome: str
) -> None:
    both = await talk(gateway, "ann", "bob")
    call = await both.start("ann")
    ended = await both.does("ann", "end", call, reason=reason)
    assert ended.json["status"] == status
    assert both.told() == [("call-ended", ("ann", "bob")), ("new-message", ("ann", "bob"))]
    assert [log["outcome"] for log in await both.logs()] == [outcome]


async def test_two_who_call_each_other_talk(gateway: Gateway) -> None:
    both = await talk(gateway, "ann", "bob")
    call = await both.start("ann")
    started = await both.users["bob"].post(both.calls, {})
    assert started.status == 200
    assert (started.json["call"]["id"], started.json["call"]["status"]) == (call["id"], "active")
    assert both.told() == [("call-accepted", ("ann", "bob"))]


async def test_the_second_device_to_answer_is_told_it_lost_the_race(gateway: Gateway) -> None:
    both = await talk(gateway, "ann", "bob")
    call = await both.start("ann")
    tablet = await gateway.user("bob")
    assert (await both.does("bob", "accept", call)).status == 200
    for action in ("accept", "decline"):
        lost = await tablet.post(f"{both.calls}/{call['id']}/{action}", {})
        assert (lost.status, lost.json["code"]) == (409, "answered_elsewhere")
    assert (await both.does("bob", "accept", call)).status == 200  # asked again
    assert [event for event, _ in both.told()] == ["call-accepted"]


async def test_a_running_call_is_found_and_joined_again(gateway: Gateway) -> None:
    group = await talk(gateway, "ann", "bob", "cid")
    none = await group.users["cid"].get(f"{group.calls}/active")
    assert (none.status, none.json["error"]) == (404, "There is no call in this room now.")
    call = await group.start("ann")
    found = await group.users["cid"].get(f"{group.calls}/active")
    assert found.json["call"]["status"] == "ringing"
    # Published clients rejoin by a token even while it rings, and the creator waits for call-accepted.
    assert (await group.does("cid", "token", call)).status == 200
    assert group.told() == [("call-accepted", ("ann", "bob", "cid"))]
    await group.does("bob", "accept", call)
    await group.does("cid", "leave", call)
    group.told()
    again = await group.users["cid"].post(group.calls, {})
    assert (again.status, again.json["call"]["status"]) == (200, "active")
    assert group.told() == []


async def test_a_group_call_goes_on_until_fewer_than_two_are_left(gateway: Gateway) -> None:
    group = await talk(gateway, "ann", "bob", "cid")
    call = await group.start("ann")
    await group.does("bob", "accept", call)
    await group.does("cid", "accept", call)
    group.told()
    assert (await group.does("bob", "end", call)).status == 403
    assert (await group.does("ann", "leave", call)).json["status"] == "active"
    assert group.told() == []
    assert (await group.does("bob", "leave", call)).json["endReason"] == "left"
    assert [event for event, _ in group.told()] == ["call-ended", "new-message"]


async def test_the_end_by_the_creator_is_a_leave_where_the_tenant_wants_it(gateway: Gateway) -> None:
    await gateway.server.patch("/tenant/settings", {"calls": {"creatorEndLeaves": True}})
    group = await talk(gateway, "ann", "bob", "cid")
    call = await group.start("ann")
    await group.does("bob", "accept", call)
    await group.does("cid", "accept", call)
    assert (await group.does("ann", "end", call)).json["status"] == "active"


async def test_a_repeated_start_gets_the_first_answer(gateway: Gateway) -> None:
    both = await talk(gateway, "ann", "bob")
    headers = {"idempotency-key": "one"}
    first = await both.users["ann"].post(both.calls, {}, headers=headers)
    again = await both.users["ann"].post(both.calls, {}, headers=headers)
    assert (again.status, again.body) == (201, first.body)
    assert [event for event, _ in both.told()] == ["call-invite"]


async def test_the_history_of_a_room_s_calls_comes_newest_first_in_pages(gateway: Gateway) -> None:
    both = await talk(gateway, "ann", "bob")
    started = []
    for _ in range(3):
        call = await both.start("ann")
        started.append(call["id"])
        await both.does("ann", "end", call)
    first = await both.users["bob"].get(f"{both.calls}?limit=2")
    assert [call["id"] for call in first.json["calls"]] == started[:0:-1]
    rest = await gateway.server.get(f"{both.calls}?limit=2&cursor={first.json['nextCursor']}")
    assert [call["id"] for call in rest.json["calls"]] == started[:1]
    assert rest.json["nextCursor"] is None
    assert rest.json["calls"][0]["participants"][1] == {
        "userId": "bob",
        "status": "missed",
        "joinedAt": None,
        "leftAt": rest.json["calls"][0]["endedAt"],
    }
    bad = await both.users["bob"].get(f"{both.calls}?cursor=nonsense")
    assert (bad.status, bad.json["code"]) == (400, "bad_cursor")


async def test_who_is_removed_from_the_room_is_out_of_its_call_and_its_media(gateway: Gateway) -> None:
    group = await talk(gateway, "ann", "bob", "cid", "dee")
    call = await group.start("ann")
    await group.does("bob", "accept", call)
    await group.does("cid", "accept", call)
    for user_id in ("bob", "dee"):
        assert (
            await gateway.server.delete(f"/chat/rooms/{group.room_id}/participants/{user_id}")
        ).status == 200
    group.told()
    (room_id,) = gateway.switchboard.departures.take()
    await gateway.switchboard.upkeep.drop_strays(room_id=room_id)
    assert sorted(group.told()) == [("call-ended", ("bob",)), ("call-ended", ("dee",))]
    assert gateway.media.removed == [(call["livekitRoomName"], "bob")]
    assert (await group.does("bob", "token", call)).status == 404
    active = await group.users["ann"].get(f"{group.calls}/active")
    assert [one["status"] for one in active.json["call"]["participants"]] == [
        "joined",
        "left",
        "joined",
        "declined",
    ]


async def test_a_device_that_connects_while_it_rings_rings_too(gateway: Gateway) -> None:
    both = await talk(gateway, "ann", "bob")
    call = await both.start("ann")
    calls = gateway.switchboard.calls
    (invite,) = await calls.invites(gateway.tenant_id, "bob")
    assert invite.event == "call-invite"
    assert msgspec.json.decode(invite.payload)["callId"] == call["id"]
    assert await calls.invites(gateway.tenant_id, "ann") == []
    await both.does("bob", "accept", call)
    assert await calls.invites(gateway.tenant_id, "bob") == []


async def test_who_talks_in_another_room_is_not_told_of_the_end_of_a_call_he_is_not_in(
    gateway: Gateway,
) -> None:
    group = await talk(gateway, "ann", "bob", "cid")
    call = await group.start("ann")
    await group.does("bob", "accept", call)
    await group.does("cid", "decline", call)
    other = await talk(gateway, "cid", "dee")
    elsewhere = await other.start("dee")
    await other.does("cid", "accept", elsewhere)
    group.told()
    await group.does("ann", "end", call)
    # The client of cid would end the call with dee.
    assert group.told()[0] == ("call-ended", ("ann", "bob"))


@pytest.mark.parametrize(
    ("who", "action", "events"),
    [("dee", "end", ["call-ended"]), ("bob", "decline", ["call-declined", "call-ended"])],
)
async def test_the_device_that_talks_is_spared_the_end_of_a_call_that_rings_on_the_others(
    gateway: Gateway, who: str, action: str, events: list[str]
) -> None:
    talking = await talk(gateway, "ann", "bob")
    call = await talking.start("ann")
    await talking.does("bob", "accept", call)
    gateway.fanout.other_devices.told.clear()
    second = await talk(gateway, "dee", "bob")  # bob with another token, on another device
    ringing = await second.start("dee")
    await second.does(who, action, ringing)
    assert [told for told in second.told() if told[0] in events] == [(event, ("dee",)) for event in events]
    assert gateway.fanout.other_devices.told == [("bob", device(talking, "bob"), event) for event in events]


def device(one: Talk, user_id: str) -> str:
    """The ``jti`` of a user's token."""
    _, _, token = one.users[user_id].headers["authorization"].partition(" ")
    jti: str = jwt.decode(token, options={"verify_signature": False})["jti"]
    return jti
