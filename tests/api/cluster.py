"""Several nodes on one store, without a server: sockets are let in by hand, and services are called directly."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import msgspec
import trio

from gateway.api.auth import Authenticator
from gateway.api.minting import Minter
from gateway.api.revocations import Revocations
from gateway.api.socket import ChatSockets
from gateway.chat.calling import CallAnnouncer
from gateway.chat.limits import Limiter
from gateway.chat.rooms import Rosters
from gateway.chat.typing import Typing
from gateway.config import Limits, Tokens
from gateway.delivery.devices import OtherDevices
from gateway.delivery.fanout import Fanout
from gateway.delivery.following import Following
from gateway.delivery.gossip import Gossip
from gateway.delivery.grace import Grace
from gateway.delivery.hub import Hub
from gateway.delivery.outbox import Outbox
from gateway.delivery.peers import Peers
from gateway.delivery.presence import Policy, Presence
from gateway.delivery.recovery import Recovery
from gateway.delivery.timers import Wheel
from gateway.records import Tenant, now_ms
from gateway.store.ports import Store
from gateway.wire.socketio import EVENT, Packet
from signaling.switchboard import Switchboard
from tests.delivery.cluster import Network
from tests.signaling.memory import FakeMedia

GRACE_S = 0.2
LEASE_S = 0.5


class Phone:
    """A client's socket, as far as ``ChatSockets`` sees one.

    Attributes:
        ended: set when the server has ended it for good.
    """

    namespace = "/"

    def __init__(self) -> None:
        self.engine = SimpleNamespace(outbox=Outbox(1_000_000, self))
        self.sid = secrets.token_hex(8)
        self.pid: str | None = None
        self.state: Any = None
        self.ended = trio.Event()
        self.end: Callable[[Phone], None] | None = None

    def overflow(self) -> None:
        raise AssertionError("too much for a phone")

    def disconnect(self) -> None:
        self.ended.set()
        if self.end is not None:
            self.end(self)

    @property
    def over(self) -> bool:
        return self.ended.is_set()

    def told(self) -> list[tuple[str, Any]]:
        """The events since the last look."""
        events = []
        for item in self.engine.outbox.take():
            for packet in item.packet.split(b"\x1e"):
                name, payload, *_ = msgspec.json.decode(packet[2:])  # a durable event says its place, too
                events.append((name, payload))
        self.engine.outbox.size = 0
        return events

    async def until(self, event: str, **fields: Any) -> None:
        """Wait for this event; it may be there already."""
        with trio.fail_after(10):
            while True:
                for name, payload in self.told():
                    if name == event and fields.items() <= payload.items():
                        return
                await trio.sleep(0.005)  # the outbox tells its writer alone


class Member:
    """One node: everything behind a socket, and what it needs of REST."""

    def __init__(self, store: Store, network: Network) -> None:
        self.bus = network.node()
        self.peers = Peers(bus=self.bus, lease_s=LEASE_S)
        self.wheel = Wheel()
        self.hub = Hub()
        self.fanout = Fanout(hub=self.hub, bus=self.bus)
        self.following = Following(hub=self.hub, order=self.fanout.order, bus=self.bus, log=store)
        grace = Grace(wheel=self.wheel, seconds=GRACE_S, in_storm=lambda: False)
        self.gossip = Gossip(peers=self.peers, grace=grace)
        self.revocations = Revocations(store=store, peers=self.peers)
        self.authenticator = Authenticator(store=store, peers=self.peers, revocations=self.revocations)
        self.minter = Minter(store=store, tokens=Tokens())
        self.rosters = Rosters(store=store, peers=self.peers)
        self.presence = Presence(
            hub=self.hub,
            fanout=self.fanout,
            gossip=self.gossip,
            wheel=self.wheel,
            contacts=store,
            policy_of=self._policy_of,
            grace=grace,
        )
        self.typing = Typing(fanout=self.fanout, gossip=self.gossip, hub=self.hub, rosters=self.rosters)
        limiter = Limiter(Limits())
        self.switchboard = Switchboard(
            store=store,
            announce=CallAnnouncer(fanout=self.fanout, devices=OtherDevices(hub=self.hub, nodes=self.peers)),
            media=FakeMedia(),
            limiter=limiter,
            clock=now_ms,
        )
        self.sockets = ChatSockets(
            authenticator=self.authenticator,
            revocations=self.revocations,
            rosters=self.rosters,
            limiter=limiter,
            calls=self.switchboard.calls,
            hub=self.hub,
            peers=self.peers,
            presence=self.presence,
            following=self.following,
            recovery=Recovery(log=store, fanout=self.fanout, most_events=10_000),
            typing=self.typing,
            fanout=self.fanout,
            wheel=self.wheel,
        )
        self._scope = trio.CancelScope()

    async def _policy_of(self, tenant_id: str) -> Policy:
        return Policy("tenant", 2_000)

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        with self._scope:
            async with trio.open_nursery() as nursery:
                await nursery.start(self.bus.run)
                for part in (self.wheel, self.peers, self.gossip, self.presence, self.typing, self.following):
                    nursery.start_soon(part.run)
                nursery.start_soon(self.revocations.run)
                nursery.start_soon(self.sockets.run)
                task_status.started()

    def die(self) -> None:
        """As by ``kill -9``."""
        self._scope.cancel()

    async def token(self, tenant: Tenant, user_id: str) -> str:
        return (await self.minter.mint(tenant, user_id)).token

    async def connect(self, token: str, **auth: Any) -> Phone:
        phone = Phone()
        welcome = await self.sockets.admit(phone, {"token": token, **auth})  # type: ignore[arg-type]
        welcome()
        phone.end = lambda phone: self.sockets.gone(phone, "")  # type: ignore[arg-type]
        return phone

    async def emit(self, phone: Phone, event: str, payload: Any) -> None:
        waiting = self.sockets.dispatch(phone, Packet(EVENT, data=[event, payload]))  # type: ignore[arg-type]
        if waiting is not None:
            await waiting


@asynccontextmanager
async def open_nodes(store: Store, network: Network, *, number: int = 2) -> AsyncIterator[list[Member]]:
    async with trio.open_nursery() as nursery:
        members = [Member(store, network) for _ in range(number)]
        for member in members:
            await nursery.start(member.run)
        await trio.sleep(0.01)
        yield members
        nursery.cancel_scope.cancel()
