"""A node's delivery without a network: sessions are connected by hand and say what they have been told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from gateway.delivery.bus import Bus
from gateway.delivery.bus_memory import Exchange
from gateway.delivery.fanout import Fanout
from gateway.delivery.gossip import Gossip
from gateway.delivery.grace import Grace
from gateway.delivery.hub import Hub
from gateway.delivery.outbox import Outbox
from gateway.delivery.peers import Peers
from gateway.delivery.presence import BEAT_S, Policy, Presence
from gateway.delivery.session import Session
from gateway.delivery.timers import Wheel
from gateway.errors import Unavailable
from tests.net.clock import let_time_jump

GRACE_S = 4.0
LEASE_S = 5.0
BEAT = BEAT_S * 2  # long enough for a beat to be over, far shorter than the grace
TENANT = "acme"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The bus may be a real server, which knows nothing of our clock.
    let_time_jump((item for item in items if "bus" not in item.path.name), Path(__file__).parent)


class Owner:
    """Counts how often it is told that its outbox has overflown."""

    def __init__(self) -> None:
        self.overflows = 0

    def overflow(self) -> None:
        self.overflows += 1


def session(user_id: str, *, tenant_id: str = TENANT, limit_bytes: int = 1_000_000) -> Session:
    return Session(tenant_id=tenant_id, user_id=user_id, jti="token", outbox=Outbox(limit_bytes, Owner()))


def told(session: Session) -> list[tuple[str, Any]]:
    """The events that have been queued for a session since the last look, with their payloads."""
    events = []
    for item in session.outbox.take():
        for packet in item.packet.split(b"\x1e"):
            assert packet.startswith(b"42")
            name, payload, *_offset = msgspec.json.decode(packet[2:])
            events.append((name, payload))
    session.outbox.size = 0
    return events


def online(user_id: str) -> tuple[str, dict[str, object]]:
    return "tenant-presence", {"userId": user_id, "online": True}


def offline(user_id: str) -> tuple[str, dict[str, object]]:
    return "tenant-presence", {"userId": user_id, "online": False}


def present(user_id: str, *, here: bool = True) -> tuple[str, dict[str, object]]:
    return "presence", {"userId": user_id, "online": here}


async def quiet(*devices: Session) -> None:
    """Let the beat pass and forget what was told."""
    await trio.sleep(BEAT)
    for device in devices:
        told(device)


class Contacts:
    """Who shares a room with whom.

    Attributes:
        pairs: contacts, either way round.
        broken: the next question fails; away: all do, as they would without a store.
        asked: how many questions there were.
    """

    def __init__(self) -> None:
        self.pairs: set[frozenset[str]] = set()
        self.broken = self.away = False
        self.asked = 0

    def meet(self, *user_ids: str) -> None:
        self.pairs |= {frozenset((one, other)) for one in user_ids for other in user_ids if one != other}

    async def contacts(self, tenant_id: str, user_id: str, *, max_room: int) -> frozenset[str]:
        await trio.lowlevel.checkpoint()
        self.asked += 1
        if self.away:
            raise Unavailable("The store is away.")
        if self.broken:
            self.broken = False
            raise RuntimeError("a bug")
        return frozenset(other for pair in self.pairs if user_id in pair for other in pair - {user_id})


class Node:
    """Hub, fan-out and presence on one wheel.

    Args:
        bus: its end of the bus that it shares with others.

    Attributes:
        in_storm: very many are on their way in.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        *,
        bus: Bus | None = None,
        grace_s: float = GRACE_S,
        lease_s: float = LEASE_S,
    ) -> None:
        self.wheel = Wheel()
        self.hub = Hub()
        self.contacts = Contacts()
        self.policy = Policy("tenant", 2_000)
        self.bus = bus or Exchange().node()
        self.fanout = Fanout(hub=self.hub, bus=self.bus)
        self.peers = Peers(bus=self.bus, lease_s=lease_s)
        self.in_storm = False
        grace = Grace(wheel=self.wheel, seconds=grace_s, in_storm=lambda: self.in_storm)
        self.gossip = Gossip(peers=self.peers, grace=grace)
        self.presence = Presence(
            hub=self.hub,
            fanout=self.fanout,
            gossip=self.gossip,
            wheel=self.wheel,
            contacts=self.contacts,
            policy_of=self._policy_of,
            grace=grace,
        )
        for run in (self.wheel.run, self.presence.run, self.bus.run, self.peers.run, self.gossip.run):
            nursery.start_soon(run)

    async def _policy_of(self, tenant_id: str) -> Policy:
        await trio.lowlevel.checkpoint()
        return self.policy

    def connect(self, user_id: str, *, tenant_id: str = TENANT) -> Session:
        device = session(user_id, tenant_id=tenant_id)
        self.hub.add(device)
        self.presence.arrived(device)
        return device

    def disconnect(self, device: Session) -> None:
        self.presence.dropped(device)
        self.presence.departed(device, last=self.hub.remove(device))

    async def snapshot(self, user_id: str) -> set[str]:
        answer = msgspec.json.decode(await self.presence.snapshot(TENANT, user_id))
        ids: list[str] = answer["onlineUserIds"]
        assert len(ids) == len(set(ids))
        return set(ids)


@pytest.fixture
async def node(nursery: trio.Nursery) -> Node:
    return Node(nursery)
