"""The bus that the configuration names."""

from __future__ import annotations

import sys
from typing import Any, cast

import pytest

from gateway.config import Config
from gateway.delivery.bus_memory import MemoryBus
from gateway.delivery.bus_redis import RedisBus
from gateway.errors import ConfigError
from gateway.serving import open_bus
from gateway.store.ports import Store


class Secrets:
    """As much of a store as a bus needs."""

    async def secret(self, name: str) -> bytes:
        return name.encode() * 8


STORE = cast(Store, Secrets())


async def test_a_gateway_is_alone_unless_told_otherwise() -> None:
    assert isinstance(await open_bus(Config(), STORE), MemoryBus)


async def test_over_redis_with_the_secret_that_the_database_keeps() -> None:
    assert isinstance(await open_bus(Config(bus="redis"), STORE), RedisBus)


async def test_what_is_not_installed_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    absent: Any = None
    monkeypatch.setitem(sys.modules, "coredis.connection", absent)
    for name in ("gateway.delivery.bus_redis", "gateway.delivery.redis_links"):
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ConfigError, match=r'^bus = "redis" needs the extra "redis"'):
        await open_bus(Config(bus="redis"), STORE)
