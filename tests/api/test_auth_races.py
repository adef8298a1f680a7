"""Credentials while the tenant changes: what is read at that moment is good for that moment only."""

from __future__ import annotations

from typing import cast

import msgspec
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gateway.api.auth import Authenticator
from gateway.api.revocations import Revocations
from gateway.delivery.bus_memory import Exchange
from gateway.delivery.peers import Peers
from gateway.records import Tenant
from gateway.store.ports import Store
from gateway.wire.http import Request


class OneTenant:
    """A store of one tenant, which sees it when it is asked and answers when the gate is open."""

    def __init__(self) -> None:
        self.kept = Tenant(
            id="t",
            name="one",
            signing_secret=b"s" * 32,
            webhook_secret="w",
            webhook_url=None,
            settings={},
            created_at="",
            log_epoch="e",
        )
        self.gate = trio.Event()

    async def tenant(self, tenant_id: str) -> Tenant:
        seen = self.kept
        await self.gate.wait()
        return seen

    async def tenant_by_api_key(self, key_sha256: bytes) -> Tenant:
        return await self.tenant("t")


@pytest.mark.parametrize("credential", ["key", "token"])
async def test_a_tenant_that_changed_while_it_was_read_is_not_remembered(credential: str) -> None:
    peers = Peers(bus=Exchange().node(), lease_s=5)
    one = OneTenant()
    store = cast(Store, one)
    authenticator = Authenticator(
        store=store,
        peers=peers,
        revocations=Revocations(store=store, peers=peers),
        clock=lambda: 1_800_000_000.0,
    )

    async def seen() -> str | None:
        if credential == "token":
            tenant = await authenticator.tenant("t")
            return None if tenant is None else tenant.name
        caller = await authenticator.identify(Request("GET", "/v1/users", headers={"x-api-key": "k"}))
        return caller.tenant.name

    names: list[str | None] = []

    async def look() -> None:
        names.append(await seen())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look)
        await wait_all_tasks_blocked()
        one.kept = msgspec.structs.replace(one.kept, name="two")
        authenticator.forget_tenant("t")
        one.gate.set()
    await look()
    assert names == ["one", "two"]
