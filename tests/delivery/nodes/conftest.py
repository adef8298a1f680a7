"""Two nodes of a cluster, and how long things take among them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from gateway.delivery.peers import BEATS
from gateway.delivery.presence import BEAT_S
from gateway.delivery.session import Session
from tests.delivery.cluster import Cluster, Member, open_cluster
from tests.delivery.conftest import GRACE_S, LEASE_S, told

BEAT = BEAT_S * 4  # gathered here, told there
HEARTBEAT = LEASE_S / BEATS
DEATH = LEASE_S + HEARTBEAT + GRACE_S + BEAT


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with open_cluster() as cluster:
        yield cluster


@pytest.fixture
async def north(cluster: Cluster) -> Member:
    return await cluster.node()


@pytest.fixture
async def south(cluster: Cluster, north: Member) -> Member:
    node = await cluster.node()
    await quiet()
    return node


async def quiet(*devices: Session) -> None:
    await trio.sleep(BEAT)
    for device in devices:
        told(device)
