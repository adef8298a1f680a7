from __future__ import annotations

import pytest
import trio

from gateway.errors import NotFound

from .conftest import Home


async def test_a_user_is_created_with_what_is_given(home: Home) -> None:
    user = await home.store.upsert_user(
        home.tenant_id, "ann", username="Ann", app_code="demo", avatar_url="https://a/1", metadata={"x": [1]}
    )

    assert (user.id, user.username, user.app_code, user.avatar_url) == ("ann", "Ann", "demo", "https://a/1")
    assert user.metadata == {"x": [1]}
    assert user.created_at == user.updated_at
    assert await home.store.user(home.tenant_id, "ann") == user


async def test_a_user_without_a_name_is_called_by_the_id(home: Home) -> None:
    user = await home.store.upsert_user(home.tenant_id, "ann", username=None)

    assert user.username == "ann"


async def test_what_an_update_leaves_out_stays_and_null_clears(home: Home) -> None:
    await home.store.upsert_user(
        home.tenant_id, "ann", username="Ann", app_code="demo", avatar_url="https://a/1"
    )

    user = await home.store.upsert_user(home.tenant_id, "ann", username=None, avatar_url=None)

    assert (user.username, user.app_code, user.avatar_url) == ("Ann", "demo", None)


async def test_updated_at_moves_only_when_something_changes(home: Home) -> None:
    created = await home.store.upsert_user(home.tenant_id, "ann", username="Ann")
    home.clock.ms += 5_000

    same = await home.store.upsert_user(home.tenant_id, "ann", username="Ann")
    renamed = await home.store.upsert_user(home.tenant_id, "ann", username="Anna")

    assert same == created
    assert renamed.updated_at > created.updated_at
    assert renamed.created_at == created.created_at


async def test_must_exist_refuses_to_create(home: Home) -> None:
    with pytest.raises(NotFound):
        await home.store.upsert_user(home.tenant_id, "ann", username="Ann", must_exist=True)

    assert await home.store.user(home.tenant_id, "ann") is None


async def test_the_same_upsert_from_many_sessions_at_once_makes_one_user(home: Home) -> None:
    async def upsert(number: int) -> None:
        await home.store.upsert_user(home.tenant_id, "ann", username=f"Ann {number}")

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(upsert, number)

    user = await home.store.user(home.tenant_id, "ann")
    assert user is not None
    assert user.username in {f"Ann {number}" for number in range(20)}


async def test_the_same_id_in_another_tenant_is_another_user(home: Home) -> None:
    other = await home.store.create_tenant("Other")
    await home.store.upsert_user(home.tenant_id, "ann", username="Ann")

    assert await home.store.user(other.id, "ann") is None
