"""Several tenants on one server share nothing, not even when everything in them is called the same."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Client, Gateway

PARTS = [{"type": "text", "text": "hi"}]
EXTERNAL = "dm:ann:bob"


async def furnish(gateway: Gateway, server: Client) -> str:
    """Make the same things in a tenant; returns the id of the room."""
    await server.post("/tenant-apps", {"appCode": "shop"})
    for user_id in ("ann", "bob"):
        await server.post("/users", {"id": user_id, "username": user_id.title(), "appCode": "shop"})
        await server.post(f"/users/{user_id}/device-tokens", {"provider": "FCM", "token": f"t-{user_id}"})
    people = [{"id": "ann"}, {"id": "bob"}]
    room = await server.post("/chat/rooms", {"externalId": EXTERNAL, "participants": people})
    await server.post(f"/chat/rooms/{room.json['id']}/messages", message("first"))
    room_id: str = room.json["id"]
    return room_id


def message(client_message_id: str) -> dict[str, Any]:
    return {"senderId": "ann", "clientMessageId": client_message_id, "parts": PARTS}


async def everything(gateway: Gateway, server: Client, room_id: str) -> list[bytes]:
    """All that a tenant and its users can read."""
    bob = await gateway.user("bob", of=server)
    room = f"/chat/rooms/{room_id}"
    reads = ("/users", "/tenant/settings", "/chat/rooms", room, f"{room}/messages", f"{room}/pinned-messages")
    answers = [await client.get(path) for client in (server, bob) for path in reads]
    answers.append(await server.get("/tenant-apps"))
    assert {answer.status for answer in answers} == {200}
    return [answer.body for answer in answers]


async def test_what_one_tenant_does_changes_nothing_in_another(gateway: Gateway) -> None:
    here, there = await furnish(gateway, gateway.server), await furnish(gateway, gateway.other)
    before = await everything(gateway, gateway.other, there)
    gateway.fanout.told.clear()
    room, server = f"/chat/rooms/{here}", gateway.server

    assert here != there
    sent = await server.post(f"{room}/messages", message("second"))
    done = [
        sent,
        await server.post(f"{room}/messages/{sent.json['id']}/pin", {"userId": "ann"}),
        await server.post(f"{room}/read", {"userId": "bob"}),
        await server.post(f"{room}/clear-history", {"userId": "bob"}),
        await server.post(f"{room}/participants", {"userId": "cid"}),
        await server.delete(f"{room}/participants/ann"),
        await server.patch(room, {"name": "Changed", "isFrozen": True}),
        await server.patch("/tenant/settings", {"chat": {"deletedMessageDisplay": "hidden"}}),
        await server.post("/users", {"id": "bob", "username": "Changed"}),
        await server.post("/users/cid/device-tokens", {"provider": "FCM", "token": "t-bob"}),
        await server.delete("/tenant-apps/shop"),
    ]

    assert {answer.status for answer in done} <= {200, 201}
    assert await everything(gateway, gateway.other, there) == before
    assert {told.tenant_id for told in gateway.fanout.told} == {gateway.tenant_id}


async def test_what_is_found_by_name_is_ones_own(gateway: Gateway) -> None:
    here, there = await furnish(gateway, gateway.server), await furnish(gateway, gateway.other)

    for server, room_id in ((gateway.server, here), (gateway.other, there)):
        found = (await server.get(f"/chat/rooms?externalId={EXTERNAL}")).json["rooms"]
        assert [room["id"] for room in found] == [room_id]
        again = await server.post("/chat/rooms", {"externalId": EXTERNAL, "participants": [{"id": "ann"}]})
        assert (again.status, again.json["id"]) == (200, room_id)


async def test_nothing_of_another_tenant_can_be_named(gateway: Gateway) -> None:
    here, there = await furnish(gateway, gateway.server), await furnish(gateway, gateway.other)
    sent = (await gateway.other.get(f"/chat/rooms/{there}/messages")).json["messages"][0]["id"]
    own = (await gateway.server.get(f"/chat/rooms/{here}/messages")).json["messages"][0]["id"]
    ann = await gateway.user("ann")

    answers = [
        await ann.post(f"/chat/rooms/{here}/messages", {"parts": PARTS, "parentMessageId": sent}),
        await ann.post(f"/chat/rooms/{here}/messages/{own}/forward", {"targetRoomIds": [there]}),
        await ann.post(f"/chat/rooms/{here}/messages/{sent}/forward", {"targetRoomIds": [here]}),
        await ann.post(f"/chat/rooms/{here}/read", {"lastReadMessageId": sent}),
        await ann.delete(f"/chat/rooms/{here}/messages/{sent}"),
    ]

    assert {answer.status for answer in answers} <= {400, 404}
    assert (await gateway.other.get(f"/chat/rooms/{there}/messages")).json["messages"][0]["deletedAt"] is None
