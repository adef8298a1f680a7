from __future__ import annotations

import re

import pytest
import trio

from tests.api.conftest import Gateway

ISO = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")


async def test_a_user_is_made_and_shown(gateway: Gateway) -> None:
    answer = await gateway.server.post("/users", {"id": "u:1/é@x", "username": "Ann"})
    user = answer.json
    assert (user["id"], user["username"], user["appCode"], user["avatarUrl"]) == (
        "u:1/é@x",
        "Ann",
        None,
        None,
    )
    assert ISO.match(user["createdAt"])
    assert ISO.match(user["updatedAt"])


async def test_an_app_nobody_has_made_is_accepted_and_kept(gateway: Gateway) -> None:
    answer = await gateway.server.post("/users", {"id": "ann", "username": "Ann", "appCode": "demo"})
    assert (answer.status, answer.json["appCode"]) == (200, "demo")


async def test_a_second_upsert_changes_what_it_names_and_nothing_else(gateway: Gateway) -> None:
    await gateway.server.post(
        "/users", {"id": "ann", "username": "Ann", "avatarUrl": "a", "metadata": {"x": 1}}
    )
    user = (await gateway.server.post("/users", {"id": "ann", "avatarUrl": None})).json
    assert (user["username"], user["avatarUrl"], user["metadata"]) == ("Ann", None, {"x": 1})


async def test_the_same_user_may_be_upserted_many_times_at_once(gateway: Gateway) -> None:
    statuses = []

    async def upsert(number: int) -> None:
        answer = await gateway.server.post("/users", {"id": "ann", "username": f"Ann {number}"})
        statuses.append(answer.status)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(upsert, number)
    assert statuses == [200] * 20


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "id"),
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"id": None}, "id"),
        ({"id": "x" * 256}, "id"),
        ({"id": "ann", "username": ["Ann"]}, "username"),
        ({"id": "ann", "metadata": []}, "metadata"),
        ({"id": "ann", "appCode": 1}, "appCode"),
    ],
)
async def test_a_bad_field_is_named(gateway: Gateway, body: object, field: str) -> None:
    answer = await gateway.server.post("/users", body)
    assert answer.status == 400
    assert answer.json["message"].startswith(field)


class TestTokens:
    async def test_a_token_comes_with_its_end_as_text_an_hour_from_now(self, gateway: Gateway) -> None:
        await gateway.server.post("/users", {"id": "ann"})
        answer = await gateway.server.post("/auth/token", {"userId": "ann"})
        assert answer.status == 201
        assert answer.json.keys() == {"token", "expiresAt"}
        assert answer.json["expiresAt"] == "2027-01-15T09:00:00.000Z"  # the test's clock stands at 08:00

    async def test_a_user_nobody_upserted_gets_none(self, gateway: Gateway) -> None:
        for body in ({"userId": "ghost"}, {"userId": "ghost", "displayName": "Ghost"}):
            assert (await gateway.server.post("/auth/token", body)).status == 404
        assert await gateway.store.user(gateway.tenant_id, "ghost") is None

    @pytest.mark.parametrize("seconds", [0, -1, 86_401, "60", 1.5, True])
    async def test_a_life_out_of_range_is_refused(self, gateway: Gateway, seconds: object) -> None:
        await gateway.server.post("/users", {"id": "ann"})
        answer = await gateway.server.post("/auth/token", {"userId": "ann", "expiresIn": seconds})
        assert answer.status == 400
        assert "expiresIn" in answer.json["error"]

    @pytest.mark.parametrize("seconds", [1, 300, 86_400, None])
    async def test_a_life_within_range_is_granted(self, gateway: Gateway, seconds: int | None) -> None:
        await gateway.server.post("/users", {"id": "ann"})
        minted = await gateway.server.post("/auth/token", {"userId": "ann", "expiresIn": seconds})
        caller = await gateway.authenticator.verify(minted.json["token"])
        assert caller.expires_at == gateway.clock() + (seconds or 3_600)

    async def test_a_display_name_becomes_the_users_name(self, gateway: Gateway) -> None:
        await gateway.server.post("/users", {"id": "ann", "username": "Ann"})
        await gateway.server.post("/auth/token", {"userId": "ann", "displayName": "Ann B."})
        user = await gateway.store.user(gateway.tenant_id, "ann")
        assert user is not None
        assert user.username == "Ann B."

    async def test_a_token_of_one_tenant_opens_nothing_in_another(self, gateway: Gateway) -> None:
        room_id = await gateway.room("ann", "bob")
        stranger = await gateway.user("ann", of=gateway.other)
        assert (await stranger.get(f"/chat/rooms/{room_id}")).status == 404
        assert (await stranger.get("/chat/rooms")).json["rooms"] == []
