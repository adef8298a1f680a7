from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Gateway

SECRET = "os_v2_secret"
ONE_SIGNAL = {"appId": "a1", "restApiKey": SECRET}


async def codes(gateway: Gateway) -> list[str]:
    answer = await gateway.server.get("/tenant-apps")
    assert answer.status == 200
    return [app["appCode"] for app in answer.json["apps"]]


async def test_every_tenant_has_the_default_app(gateway: Gateway) -> None:
    answer = await gateway.server.get("/tenant-apps/default")

    assert answer.json.items() >= {"appCode": "default", "pushPayloadType": "FULL"}.items()
    assert await codes(gateway) == ["default"]


async def test_the_default_app_cannot_be_deleted_but_changed(gateway: Gateway) -> None:
    answer = await gateway.server.delete("/tenant-apps/default")

    assert (answer.status, answer.json["code"]) == (409, "default_app")
    changed = await gateway.server.patch("/tenant-apps/default", {"name": "Main"})
    assert changed.json["name"] == "Main"


async def test_secrets_go_in_and_never_come_out(gateway: Gateway) -> None:
    body = {"appCode": "shop", "name": "Shop", "oneSignalConfig": ONE_SIGNAL, "fcmConfig": {"key": SECRET}}

    made = await gateway.server.post("/tenant-apps", body)

    assert made.status == 201
    assert made.json.keys() == {
        "id",
        "appCode",
        "name",
        "pushPayloadType",
        "hasOneSignalConfig",
        "hasFcmConfig",
        "hasPushyConfig",
        "createdAt",
        "updatedAt",
    }
    has = [made.json[f"has{name}Config"] for name in ("OneSignal", "Fcm", "Pushy")]
    assert has == [True, True, False]
    answers = [
        made,
        await gateway.server.get("/tenant-apps"),
        await gateway.server.get("/tenant-apps/shop"),
        await gateway.server.patch("/tenant-apps/shop", {"name": "x"}),
    ]
    assert not any(SECRET in answer.body.decode() for answer in answers)
    stored = await gateway.store.app(gateway.tenant_id, "shop")
    assert stored is not None
    assert stored.one_signal_config == ONE_SIGNAL
    assert SECRET not in repr(stored)


async def test_a_change_leaves_alone_what_it_does_not_name_and_null_clears(gateway: Gateway) -> None:
    await gateway.server.post("/tenant-apps", {"appCode": "shop", "oneSignalConfig": ONE_SIGNAL})

    changed = await gateway.server.patch("/tenant-apps/shop", {"pushPayloadType": "DATA"})
    cleared = await gateway.server.patch("/tenant-apps/shop", {"oneSignalConfig": None})

    assert (changed.json["pushPayloadType"], changed.json["hasOneSignalConfig"]) == ("DATA", True)
    assert (cleared.json["pushPayloadType"], cleared.json["hasOneSignalConfig"]) == ("DATA", False)
    assert cleared.json["updatedAt"] > cleared.json["createdAt"]


async def test_a_code_is_taken_once_per_tenant(gateway: Gateway) -> None:
    body = {"appCode": "shop"}

    answers = [
        await client.post("/tenant-apps", body) for client in (gateway.server, gateway.server, gateway.other)
    ]

    assert [answer.status for answer in answers] == [201, 409, 201]
    assert answers[1].json["code"] == "app_code_taken"


async def test_deleting_an_app_detaches_its_users_and_nobody_else(gateway: Gateway) -> None:
    for code in ("shop", "club"):
        await gateway.server.post("/tenant-apps", {"appCode": code})
        for number in range(2):
            await gateway.server.post("/users", {"id": f"{code}{number}", "appCode": code})
    await gateway.other.post("/users", {"id": "stranger", "appCode": "shop"})

    answer = await gateway.server.delete("/tenant-apps/shop")

    assert answer.json == {"appCode": "shop", "detachedUsers": 2}
    assert await codes(gateway) == ["default", "club"]
    of_shop = await gateway.store.user(gateway.tenant_id, "shop0")
    of_club = await gateway.store.user(gateway.tenant_id, "club0")
    assert of_shop is not None
    assert of_club is not None
    assert (of_shop.app_code, of_club.app_code) == (None, "club")
    stranger = await gateway.other.post("/users", {"id": "stranger"})
    assert stranger.json["appCode"] == "shop"
    assert (await gateway.server.delete("/tenant-apps/shop")).status == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"appCode": ""},
        {"appCode": "Shop"},
        {"appCode": "-shop"},
        {"appCode": "shop\n"},
        {"appCode": "x" * 65},
        {"appCode": "shop", "name": "n" * 81},
        {"appCode": "shop", "name": ""},
        {"appCode": "shop", "pushPayloadType": "full"},
        {"appCode": "shop", "oneSignalConfig": {"appId": "a1"}},
        {"appCode": "shop", "fcmConfig": {"key": "x" * 16_384}},
    ],
    ids=lambda body: str(body)[:40],
)
async def test_what_an_app_cannot_be(gateway: Gateway, body: Any) -> None:
    assert (await gateway.server.post("/tenant-apps", body)).status == 400
    assert await codes(gateway) == ["default"]


async def test_the_longest_code_and_the_shortest_are_taken(gateway: Gateway) -> None:
    for code in ("x" * 64, "0", "a_b-c"):
        assert (await gateway.server.post("/tenant-apps", {"appCode": code})).json["name"] == code
