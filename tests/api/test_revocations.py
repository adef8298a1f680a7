"""Signing out by REST: here, or everywhere."""

from __future__ import annotations

from tests.api.conftest import Gateway


async def test_the_backend_signs_a_user_out_everywhere(gateway: Gateway) -> None:
    phone, tablet = await gateway.user("ann"), await gateway.user("ann")
    bob = await gateway.user("bob")
    assert (await phone.get("/chat/rooms")).status == 200  # the verdict is remembered
    answer = await gateway.server.post("/users/ann/revoke-sessions")
    assert answer.status == 200
    assert answer.json["revokedAt"].startswith("2027-")
    for device in (phone, tablet):
        refused = await device.get("/chat/rooms")
        assert (refused.status, refused.json["code"]) == (401, "token_revoked")
    assert (await bob.get("/chat/rooms")).status == 200


async def test_a_new_token_is_good_at_once(gateway: Gateway) -> None:
    await gateway.user("ann")
    await gateway.server.post("/users/ann/revoke-sessions")
    assert (await (await gateway.user("ann")).get("/chat/rooms")).status == 200


async def test_a_device_signs_itself_out_and_no_other(gateway: Gateway) -> None:
    phone, tablet = await gateway.user("ann"), await gateway.user("ann")
    assert (await phone.post("/auth/revoke")).status == 200
    assert (await phone.get("/chat/rooms")).status == 401
    assert (await tablet.get("/chat/rooms")).status == 200


async def test_an_unknown_user_and_one_of_another_tenant_are_the_same(gateway: Gateway) -> None:
    ann = await gateway.user("ann")
    unknown = await gateway.server.post("/users/nobody/revoke-sessions")
    foreign = await gateway.other.post("/users/ann/revoke-sessions")
    assert (unknown.status, unknown.body) == (404, foreign.body)
    assert (await ann.get("/chat/rooms")).status == 200


async def test_a_repeat_by_its_key_takes_back_nothing_more(gateway: Gateway) -> None:
    await gateway.user("ann")
    first = await gateway.server.post("/users/ann/revoke-sessions", headers={"idempotency-key": "k"})
    again = await gateway.user("ann")
    second = await gateway.server.post("/users/ann/revoke-sessions", headers={"idempotency-key": "k"})
    assert second.body == first.body
    assert (await again.get("/chat/rooms")).status == 200
