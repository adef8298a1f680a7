from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.api.conftest import Gateway

DEFAULTS = {
    "deletedMessageDisplay": "placeholder",
    "deletedMessagePlaceholder": "This message was deleted",
}


async def test_the_backend_sees_everything_and_defaults_are_filled_in(gateway: Gateway) -> None:
    settings = (await gateway.server.get("/tenant/settings")).json
    assert settings["chat"].items() >= DEFAULTS.items()
    assert settings["chat"]["media"]["maxFileSizeBytes"] == 10 * 1024 * 1024
    assert settings["calls"] == {
        "enabled": True,
        "maxParticipants": 8,
        "defaultType": "video",
        "ringTimeoutSeconds": 45,
        "creatorEndLeaves": False,
    }
    assert settings["presence"] == {"tenantLimit": 2000, "scope": "auto"}
    assert (settings["id"], settings["name"], settings["webhookUrl"]) == (gateway.tenant_id, "first", None)


async def test_a_user_sees_what_a_client_needs_and_no_more(gateway: Gateway) -> None:
    await gateway.server.patch("/tenant/settings", {"webhookUrl": "https://hooks.example/x"})
    ann = await gateway.user("ann")
    settings = (await ann.get("/tenant/settings")).json
    assert settings.keys() == {"chat", "calls"}
    assert settings["chat"].items() >= DEFAULTS.items()


async def test_a_change_is_partial_and_answers_with_the_whole(gateway: Gateway) -> None:
    await gateway.server.patch("/tenant/settings", {"chat": {"deletedMessagePlaceholder": "gone"}})
    answer = await gateway.server.patch("/tenant/settings", {"calls": {"enabled": False}})
    assert answer.status == 200
    assert answer.json["chat"]["deletedMessagePlaceholder"] == "gone"
    assert answer.json["chat"]["deletedMessageDisplay"] == "placeholder"
    assert answer.json["calls"]["enabled"] is False
    assert answer.json["calls"]["maxParticipants"] == 8


async def test_an_object_within_a_section_is_changed_key_by_key(gateway: Gateway) -> None:
    await gateway.server.patch("/tenant/settings", {"chat": {"media": {"enabled": False}}})
    answer = await gateway.server.patch("/tenant/settings", {"chat": {"media": {"presignTtlSeconds": 60}}})
    media = answer.json["chat"]["media"]
    assert (media["enabled"], media["presignTtlSeconds"], media["maxImageSizeBytes"]) == (
        False,
        60,
        5 * 1024 * 1024,
    )


async def test_changes_of_one_object_at_the_same_time_all_hold(gateway: Gateway) -> None:
    keys = {"enabled": False, "presignTtlSeconds": 60, "maxFileSizeBytes": 5, "maxImageSizeBytes": 7}
    async with trio.open_nursery() as nursery:
        for key, value in keys.items():
            nursery.start_soon(
                gateway.server.patch, "/tenant/settings", {"chat": {"media": {key: value}}, "calls": {}}
            )
    assert (await gateway.tenant()).settings["chat"]["media"] == keys


async def test_a_change_holds_for_users_at_once(gateway: Gateway) -> None:
    ann = await gateway.user("ann")
    await ann.get("/tenant/settings")  # so that the tenant is remembered
    await gateway.server.patch("/tenant/settings", {"chat": {"deletedMessageDisplay": "hidden"}})
    assert (await ann.get("/tenant/settings")).json["chat"]["deletedMessageDisplay"] == "hidden"
    assert (await gateway.server.get("/tenant/settings")).json["chat"]["deletedMessageDisplay"] == "hidden"


async def test_only_what_was_chosen_is_stored(gateway: Gateway) -> None:
    await gateway.server.patch(
        "/tenant/settings", {"calls": {"ringTimeoutSeconds": 30}, "name": "x", "id": "x"}
    )
    tenant = await gateway.tenant()
    assert (tenant.settings, tenant.name) == ({"calls": {"ringTimeoutSeconds": 30}}, "first")


async def test_keys_nobody_knows_are_kept(gateway: Gateway) -> None:
    patch = {"chat": {"theme": {"dark": True}}, "calls": {"ringtone": "bell"}}
    settings = (await gateway.server.patch("/tenant/settings", patch)).json
    assert settings["chat"]["theme"] == {"dark": True}
    assert settings["calls"]["ringtone"] == "bell"
    assert settings["calls"]["enabled"] is True


@pytest.mark.parametrize(
    ("patch", "key"),
    [
        ({"chat": {"deletedMessageDisplay": "gone"}}, "chat.deletedMessageDisplay"),
        ({"chat": {"deletedMessagePlaceholder": None}}, "chat.deletedMessagePlaceholder"),
        ({"chat": {"deletedMessagePlaceholder": "x" * 501}}, "chat.deletedMessagePlaceholder"),
        ({"chat": {"media": {"maxFileSizeBytes": 0}}}, "chat.media.maxFileSizeBytes"),
        ({"chat": {"media": {"allowedMimeTypes": "image/png"}}}, "chat.media.allowedMimeTypes"),
        ({"calls": {"enabled": "yes"}}, "calls.enabled"),
        ({"calls": {"maxParticipants": 1}}, "calls.maxParticipants"),
        ({"calls": {"maxParticipants": 33}}, "calls.maxParticipants"),
        ({"calls": {"ringTimeoutSeconds": 14}}, "calls.ringTimeoutSeconds"),
        ({"calls": {"ringTimeoutSeconds": 30.5}}, "calls.ringTimeoutSeconds"),
        ({"calls": {"defaultType": "AUDIO"}}, "calls.defaultType"),
        ({"presence": {"scope": "nobody"}}, "presence.scope"),
        ({"presence": {"tenantLimit": -1}}, "presence.tenantLimit"),
        ({"chat": None}, "chat"),
        ({"calls": []}, "calls"),
        ({"webhookUrl": 7}, "webhookUrl"),
        ({"webhookUrl": "ftp://hooks.example"}, "webhookUrl"),
        ({"webhookUrl": "hooks.example/x"}, "webhookUrl"),
        ({"webhookUrl": "https://"}, "webhookUrl"),
        ({"webhookUrl": "https://[::1"}, "webhookUrl"),
        ({"webhookUrl": "https://a.example:99999/"}, "webhookUrl"),
        ({"webhookUrl": "https://a.example/ b"}, "webhookUrl"),
        ({"webhookUrl": "https://a.example/" + "x" * 2048}, "webhookUrl"),
    ],
)
async def test_a_value_that_cannot_be_is_refused_by_its_key_and_nothing_changes(
    gateway: Gateway, patch: Any, key: str
) -> None:
    answer = await gateway.server.patch("/tenant/settings", {"presence": {"tenantLimit": 5}, **patch})
    assert answer.status == 400
    assert answer.json["error"].startswith(f"{key} ")
    assert (await gateway.tenant()).settings == {}


@pytest.mark.parametrize("url", ["http://hooks.example", "https://hooks.example:8443/a?b=c"])
async def test_webhooks_go_where_they_are_told_until_they_are_paused(gateway: Gateway, url: str) -> None:
    assert (await gateway.server.patch("/tenant/settings", {"webhookUrl": url})).json["webhookUrl"] == url
    assert (await gateway.server.patch("/tenant/settings", {"calls": {}})).json["webhookUrl"] == url
    for pause in (None, "", " "):
        await gateway.server.patch("/tenant/settings", {"webhookUrl": url})
        paused = await gateway.server.patch("/tenant/settings", {"webhookUrl": pause})
        assert paused.json["webhookUrl"] is None


async def test_settings_do_not_grow_without_end(gateway: Gateway) -> None:
    answer = await gateway.server.patch("/tenant/settings", {"chat": {"theme": "x" * 70_000}})
    assert answer.status == 400
