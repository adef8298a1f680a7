from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Gateway

OWN = "/users/me/device-tokens"


async def kept(gateway: Gateway, user_id: str) -> list[tuple[str, str]]:
    devices = await gateway.store.devices(gateway.tenant_id, user_id)
    return [(device.provider, device.token) for device in devices]


async def test_a_user_registers_a_device_of_his_own(gateway: Gateway) -> None:
    ann = await gateway.user("ann")

    answer = await ann.post(OWN, {"provider": "ONESIGNAL", "token": "t1", "platform": "ios"})

    assert answer.status == 201
    assert answer.json.keys() == {"id", "provider", "token", "platform", "createdAt"}
    assert (answer.json["provider"], answer.json["token"], answer.json["platform"]) == (
        "ONESIGNAL",
        "t1",
        "ios",
    )
    assert await kept(gateway, "ann") == [("ONESIGNAL", "t1")]


async def test_the_backend_registers_for_any_user_it_has_made(gateway: Gateway) -> None:
    await gateway.user("ann")
    body = {"provider": "FCM", "token": "t1"}

    assert (await gateway.server.post("/users/ann/device-tokens", body)).status == 201
    assert (await gateway.server.post("/users/nobody/device-tokens", body)).status == 404
    assert (await gateway.other.post("/users/ann/device-tokens", body)).status == 404


async def test_registering_again_is_the_same_device(gateway: Gateway) -> None:
    ann = await gateway.user("ann")

    answers = [await ann.post(OWN, {"provider": "FCM", "token": "t1"}) for _ in range(2)]

    assert answers[0].json == answers[1].json
    assert await kept(gateway, "ann") == [("FCM", "t1")]


async def test_a_token_moves_to_who_registers_it_last(gateway: Gateway) -> None:
    ann, bob = await gateway.user("ann"), await gateway.user("bob")
    await ann.post(OWN, {"provider": "FCM", "token": "t1"})

    await bob.post(OWN, {"provider": "FCM", "token": "t1"})

    assert await kept(gateway, "ann") == []
    assert await kept(gateway, "bob") == [("FCM", "t1")]


async def test_the_same_token_elsewhere_is_another_device(gateway: Gateway) -> None:
    ann, stranger = await gateway.user("ann"), await gateway.user("ann", of=gateway.other)
    await ann.post(OWN, {"provider": "FCM", "token": "t1"})

    await ann.post(OWN, {"provider": "PUSHY", "token": "t1"})
    await stranger.post(OWN, {"provider": "FCM", "token": "t1"})

    assert await kept(gateway, "ann") == [("FCM", "t1"), ("PUSHY", "t1")]


async def test_logging_out_forgets_the_token_and_never_fails(gateway: Gateway) -> None:
    ann, bob = await gateway.user("ann"), await gateway.user("bob")
    await ann.post(OWN, {"provider": "FCM", "token": "a/b:c d"})
    path = f"{OWN}/a%2Fb%3Ac%20d"

    assert (await bob.delete(path)).json == {"removed": False}
    assert (await ann.delete(path)).json == {"removed": True}
    assert (await ann.delete(path)).json == {"removed": False}
    assert await kept(gateway, "ann") == []


async def test_of_very_many_devices_the_newest_are_kept(gateway: Gateway) -> None:
    ann = await gateway.user("ann")
    for number in range(52):
        await ann.post(OWN, {"provider": "FCM", "token": f"t{number}"})

    tokens = [token for _, token in await kept(gateway, "ann")]

    assert tokens == [f"t{number}" for number in range(2, 52)]


async def test_a_user_called_me_is_not_the_sessions_user(gateway: Gateway) -> None:
    await gateway.user("me")

    answer = await gateway.server.post(OWN, {"provider": "FCM", "token": "t1"})

    assert answer.status == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"provider": "FCM"},
        {"token": "t"},
        {"provider": "fcm", "token": "t"},
        {"provider": "FCM", "token": ""},
        {"provider": "FCM", "token": "t" * 4097},
        {"provider": "FCM", "token": "t", "platform": 7},
    ],
    ids=str,
)
async def test_a_device_needs_a_provider_and_a_token(gateway: Gateway, body: Any) -> None:
    ann = await gateway.user("ann")

    assert (await ann.post(OWN, body)).status == 400
