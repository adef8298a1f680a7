from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import sha256

import pytest
import trio

from gateway.errors import InvalidRequest, NotFound
from gateway.records import Settings, Tenant
from gateway.store.ports import Store, TenantCounts

from .conftest import Home


def digest(api_key: str) -> bytes:
    return sha256(api_key.encode()).digest()


def same(stored: Settings) -> Settings:
    return stored


async def test_a_new_tenant_is_found_by_its_id_and_by_the_hash_of_its_key(store: Store) -> None:
    keys = await store.create_tenant("Acme")

    tenant = await store.tenant(keys.id)
    assert tenant is not None
    assert (tenant.name, tenant.webhook_secret, tenant.settings) == ("Acme", keys.webhook_secret, {})
    assert await store.tenant_by_api_key(digest(keys.api_key)) == tenant
    assert await store.tenants() == [tenant]


async def test_credentials_have_the_forms_that_backends_know(store: Store) -> None:
    keys = await store.create_tenant("Acme")

    assert keys.api_key.startswith("sk_live_")
    assert len(bytes.fromhex(keys.api_key.removeprefix("sk_live_"))) == 24
    assert len(bytes.fromhex(keys.webhook_secret.removeprefix("whsec_"))) == 24


async def test_each_tenant_signs_with_a_secret_of_its_own(store: Store) -> None:
    await store.create_tenant("Acme")
    await store.create_tenant("Globex")

    one, other = await store.tenants()
    assert len(one.signing_secret) == 32
    assert one.signing_secret != other.signing_secret


async def test_rotating_replaces_key_and_webhook_secret_at_once_and_leaves_tokens_alone(store: Store) -> None:
    old = await store.create_tenant("Acme")
    before = await store.tenant(old.id)

    new = await store.rotate_keys(old.id)

    assert await store.tenant_by_api_key(digest(old.api_key)) is None
    after = await store.tenant_by_api_key(digest(new.api_key))
    assert before is not None
    assert after is not None
    assert after.webhook_secret == new.webhook_secret != old.webhook_secret
    assert after.signing_secret == before.signing_secret


async def test_an_unknown_tenant_cannot_be_rotated_or_changed(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.rotate_keys("nobody")
    with pytest.raises(NotFound):
        await store.update_tenant("nobody", settings=same)


async def test_each_change_of_settings_builds_on_the_one_before(home: Home) -> None:
    def with_section(name: str) -> Callable[[Settings], Settings]:
        return lambda stored: {**stored, name: {"kept": True}}

    async with trio.open_nursery() as nursery:
        for number in range(20):
            change = partial(home.store.update_tenant, settings=with_section(str(number)))
            nursery.start_soon(change, home.tenant_id)

    after = await home.store.tenant(home.tenant_id)
    assert after is not None
    assert after.settings.keys() == {str(number) for number in range(20)}


async def test_a_change_of_settings_that_refuses_changes_nothing(home: Home) -> None:
    def refuse(stored: Settings) -> Settings:
        raise InvalidRequest("Too much.")

    with pytest.raises(InvalidRequest):
        await home.store.update_tenant(home.tenant_id, settings=refuse, webhook_url="https://example.com")

    after = await home.store.tenant(home.tenant_id)
    assert after is not None
    assert after.webhook_url is None


async def test_a_webhook_url_can_be_taken_away(home: Home) -> None:
    await home.store.update_tenant(home.tenant_id, settings=same, webhook_url="https://example.com")

    after = await home.store.update_tenant(home.tenant_id, settings=same, webhook_url=None)

    assert after.webhook_url is None


async def test_a_change_of_settings_is_announced_as_it_is_stored(home: Home) -> None:
    announced: list[Tenant] = []

    after = await home.store.update_tenant(
        home.tenant_id, settings=lambda _: {"chat": {"a": 1}}, then=announced.append
    )

    assert announced == [after]


async def test_counts_are_the_tenants_own(home: Home) -> None:
    other = await home.store.create_tenant("Other")
    room = await home.room("ann", "bob")
    await home.room("ann")
    await home.say(room.id, "ann")

    assert await home.store.tenant_counts(home.tenant_id) == TenantCounts(users=2, rooms=2, messages=1)
    assert await home.store.tenant_counts(other.id) == TenantCounts(users=0, rooms=0, messages=0)


async def test_a_tenant_can_be_renamed(home: Home) -> None:
    await home.store.rename_tenant(home.tenant_id, "Elsewhere")

    tenant = await home.store.tenant(home.tenant_id)
    assert tenant is not None
    assert tenant.name == "Elsewhere"
    with pytest.raises(NotFound):
        await home.store.rename_tenant("nobody", "x")
