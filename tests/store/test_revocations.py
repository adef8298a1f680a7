"""Session tokens that have been taken back: which ones, and for how long that is known."""

from __future__ import annotations

import pytest

from gateway.errors import NotFound
from gateway.store.ports import Revocation
from gateway.store.revocations import KEPT_MS

from .conftest import Home


@pytest.fixture
async def second(home: Home) -> int:
    """The second it is now; ann and bob are there."""
    for user_id in ("ann", "bob"):
        await home.store.upsert_user(home.tenant_id, user_id, username=None)
    home.clock.ms = home.clock.ms // 1000 * 1000 + 400
    return home.clock.ms // 1000


async def is_revoked(home: Home, user_id: str, issued_at: int, *, jti: str = "j") -> bool:
    return await home.store.is_revoked(home.tenant_id, user_id, jti=jti, issued_at=issued_at)


async def test_what_a_user_was_given_up_to_this_second_is_taken_back_and_nothing_else(
    home: Home, second: int
) -> None:
    assert not await is_revoked(home, "ann", second - 10)
    await home.store.revoke(home.tenant_id, user_id="ann")
    assert await is_revoked(home, "ann", second - 10)
    assert await is_revoked(home, "ann", second)
    assert not await is_revoked(home, "ann", second + 1)
    assert not await is_revoked(home, "bob", second - 10)


async def test_a_token_is_taken_back_by_its_id_whenever_it_was_made(home: Home, second: int) -> None:
    await home.store.revoke(home.tenant_id, user_id="ann", jti="j1")
    assert await is_revoked(home, "ann", second + 5, jti="j1")
    assert not await is_revoked(home, "ann", second - 5, jti="j2")
    assert not await is_revoked(home, "bob", second - 5, jti="j1")


async def test_all_of_a_tenant_and_of_no_other(home: Home, second: int) -> None:
    other = await home.store.create_tenant("other")
    await home.store.revoke(home.tenant_id, user_id=None)
    assert await is_revoked(home, "ann", second)
    assert await is_revoked(home, "bob", second)
    assert not await home.store.is_revoked(other.id, "ann", jti="j", issued_at=second)


async def test_it_is_said_from_which_second_on_tokens_are_good(home: Home, second: int) -> None:
    assert await home.store.good_from(home.tenant_id, "ann") == 0
    await home.store.revoke(home.tenant_id, user_id="ann", jti="j1")
    assert await home.store.good_from(home.tenant_id, "ann") == 0
    await home.store.revoke(home.tenant_id, user_id="ann")
    assert await home.store.good_from(home.tenant_id, "ann") == second + 1
    home.clock.ms += 7_000
    await home.store.revoke(home.tenant_id, user_id=None)
    assert await home.store.good_from(home.tenant_id, "ann") == second + 8
    assert await home.store.good_from(home.tenant_id, "bob") == second + 8


async def test_who_takes_back_again_moves_the_time(home: Home, second: int) -> None:
    await home.store.revoke(home.tenant_id, user_id="ann")
    home.clock.ms += 5_000
    await home.store.revoke(home.tenant_id, user_id="ann")
    assert await is_revoked(home, "ann", second + 5)


async def test_they_are_listed_since_a_moment_oldest_first(home: Home, second: int) -> None:
    first = await home.store.revoke(home.tenant_id, user_id="bob")
    home.clock.ms += 10
    later = [await home.store.revoke(home.tenant_id, user_id="ann", jti="j1")]
    home.clock.ms += 10
    later.append(await home.store.revoke(home.tenant_id, user_id=None))
    assert await home.store.revocations(since_ms=first.revoked_at) == [first, *later]
    assert await home.store.revocations(since_ms=first.revoked_at + 1) == later
    assert first == Revocation(home.tenant_id, "bob", None, second * 1000 + 400)


async def test_what_can_be_about_no_living_token_is_forgotten(home: Home, second: int) -> None:
    await home.store.revoke(home.tenant_id, user_id="ann")
    home.clock.ms += KEPT_MS
    await home.store.revoke(home.tenant_id, user_id="bob")
    assert len(await home.store.revocations(since_ms=0)) == 2
    home.clock.ms += 1
    await home.store.revoke(home.tenant_id, user_id="bob")
    assert [one.user_id for one in await home.store.revocations(since_ms=0)] == ["bob"]


async def test_unknown_users_and_tenants_are_refused(home: Home, second: int) -> None:
    with pytest.raises(NotFound):
        await home.store.revoke(home.tenant_id, user_id="nobody")
    with pytest.raises(NotFound):
        await home.store.revoke("nowhere", user_id=None)
    assert await home.store.revocations(since_ms=0) == []
