"""What is remembered for speed is forgotten in time: at once where the change is made, and everywhere within a second.

======================  ===========================  ===========================================================
what is remembered      by                           what ends it
======================  ===========================  ===========================================================
that a token is good    ``api.auth``                 its end, being taken back, another secret, a minute
a tenant, by its id     ``api.auth``                 the word of the node that changed it, a second
a tenant, by its key    ``api.auth``                 the same
who was signed out      ``api.revocations``          two minutes; it only ever refuses
a roster, for sockets   ``chat.rooms.Rosters``       the word of the node that changed it, or that some word was lost
a roster, for sending   ``store.rosters.Rosters``    another version, which each send reads with the room
======================  ===========================  ===========================================================

Two nodes with a store of its own each, on one database: one remembers, and the change is made there, or on the other and the
word of it comes or is lost. A bus that carries nothing at all is another matter: until it is back, sockets are judged by
rosters as they were, but no message goes by them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
import pytest
import trio

from gateway.chat.limits import Limiter
from gateway.chat.messages import Messages
from gateway.chat.participants import Participants
from gateway.chat.tenants import Tenants
from gateway.config import Limits, Presence, StoreSettings
from gateway.errors import NotFound, Unauthorized
from gateway.records import Tenant
from gateway.store.engine import open_store
from gateway.store.ports import NewParticipant, RoomDraft, Store
from gateway.wire.http import Request
from tests.api.cluster import Member, Phone
from tests.delivery.cluster import Network

Way: TypeAlias = Literal["here", "told", "not told"]

WITHIN_S: dict[Way, float] = {"here": 0.0, "told": 0.05, "not told": 1.0}
"""How long what was remembered may hold, by how the node hears of the change; 0.05 s is what the bus may take."""


class Node(Member):
    """A node with those of its services that change what is remembered."""

    def __init__(self, store: Store, network: Network) -> None:
        super().__init__(store, network)
        limits = Limits()
        limiter = Limiter(limits)
        self.store = store
        self.messages = Messages(store=store, fanout=self.fanout, limiter=limiter)
        self.participants = Participants(
            store=store,
            rosters=self.rosters,
            fanout=self.fanout,
            sockets=self.sockets,
            calls=self.switchboard.departures,
            limiter=limiter,
            limits=limits,
        )
        self.tenants = Tenants(store=store, presence=Presence(), changed=self.authenticator.forget_tenant)

    async def who(self, **headers: str) -> str | None:
        """Whom it takes the sender of these headers for; None is the tenant's backend."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await self.authenticator.identify(Request("GET", "/v1/users", headers=names))).user_id

    async def say(self, tenant: Tenant, room_id: str, text: str) -> None:
        parts = msgspec.json.encode([{"type": "text", "text": text}])
        await self.messages.send(tenant.id, room_id, "ann", parts=parts)


class World:
    """Ann and bob share a room. ``here`` remembers, ``elsewhere`` makes the changes."""

    def __init__(self, way: Way, network: Network, here: Node, other: Node) -> None:
        self.here = here
        self._elsewhere = here if way == "here" else other
        self._way = way
        self._network = network
        self.tenant: Tenant
        self.key = ""
        self.room_id = ""

    async def make(self) -> None:
        keys = await self.here.store.create_tenant("acme")
        tenant = await self.here.store.tenant(keys.id)
        assert tenant is not None
        self.tenant, self.key = tenant, keys.api_key
        draft = RoomDraft(
            tenant_id=tenant.id,
            creator_id="ann",
            participants=[NewParticipant("ann"), NewParticipant("bob")],
        )
        self.room_id = (await self.here.store.create_room(draft)).room.id

    @asynccontextmanager
    async def change(self) -> AsyncIterator[Node]:
        """The node that makes the change, within the block; after it, the time that is allowed has passed."""
        self._network.loses = lambda: self._way == "not told"
        yield self._elsewhere
        self._network.loses = lambda: False
        await trio.sleep(WITHIN_S[self._way])

    async def remove_bob(self, node: Node) -> None:
        await node.participants.remove(self.tenant.id, self.room_id, "bob", actor_id=None, by_server=True)


@pytest.fixture(params=["here", "told", "not told"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    network = Network()
    async with AsyncExitStack() as stack:
        stores = [
            await stack.enter_async_context(
                open_store(tmp_path / "gateway.db", settings=StoreSettings(synchronous="normal"))
            )
            for _ in range(2)
        ]
        nursery = await stack.enter_async_context(trio.open_nursery())
        here, other = [Node(store, network) for store in stores]
        for node in (here, other):
            await nursery.start(node.run)
        await trio.sleep(0.01)  # until they know each other
        world = World(request.param, network, here, other)
        await world.make()
        yield world
        nursery.cancel_scope.cancel()


def reads(store: Store, monkeypatch: pytest.MonkeyPatch, *names: str) -> list[str]:
    """What a store is asked for from now on, of what these methods read."""
    asked: list[str] = []

    def watched(name: str, read: Callable[..., Any]) -> Callable[..., Any]:
        async def watch(*args: Any, **options: Any) -> Any:
            asked.append(name)
            return await read(*args, **options)

        return watch

    for name in names:
        monkeypatch.setattr(store, name, watched(name, getattr(store, name)))
    return asked


class TestTokens:
    async def bearer(self, world: World) -> str:
        """One that ``here`` has seen."""
        token = f"Bearer {await world.here.token(world.tenant, 'ann')}"
        assert await world.here.who(authorization=token) == "ann"
        return token

    async def test_one_that_was_good_a_moment_ago_is_asked_of_nobody(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        token = await self.bearer(world)
        asked = reads(world.here.store, monkeypatch, "tenant", "is_revoked")
        assert await world.here.who(authorization=token) == "ann"
        assert asked == []

    async def test_one_that_is_taken_back_is_bad(self, world: World) -> None:
        token = await self.bearer(world)
        async with world.change() as node:
            await node.revocations.revoke(world.tenant.id, user_id="ann")
        with pytest.raises(Unauthorized) as refused:
            await world.here.who(authorization=token)
        assert refused.value.code == "token_revoked"

    async def test_one_of_a_tenant_that_has_changed_brings_what_it_is_now(self, world: World) -> None:
        token = await self.bearer(world)
        async with world.change() as node:
            await node.tenants.change(world.tenant.id, {"calls": {"enabled": False}})
        caller = await world.here.authenticator.verify(token.removeprefix("Bearer "))
        assert caller.tenant.settings["calls"] == {"enabled": False}


class TestKeys:
    async def test_one_that_was_good_a_moment_ago_is_asked_of_nobody(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert await world.here.who(x_api_key=world.key) is None
        asked = reads(world.here.store, monkeypatch, "tenant_by_api_key")
        assert await world.here.who(x_api_key=world.key) is None
        assert asked == []

    async def test_one_that_was_replaced_is_bad_and_the_new_one_is_good(self, world: World) -> None:
        assert await world.here.who(x_api_key=world.key) is None
        async with world.change() as node:
            new = await node.store.rotate_keys(world.tenant.id)
            node.authenticator.forget_tenant(world.tenant.id)
        with pytest.raises(Unauthorized):
            await world.here.who(x_api_key=world.key)
        assert await world.here.who(x_api_key=new.api_key) is None


class TestRosters:
    async def phone(self, world: World, user_id: str) -> Phone:
        """On ``here``, with the room open."""
        phone = await world.here.connect(await world.here.token(world.tenant, user_id))
        await world.here.emit(phone, "join-room", {"roomId": world.room_id})
        return phone

    def lines(self, phone: Phone) -> list[str]:
        return [payload["previewText"] for name, payload in phone.told() if name == "new-message"]

    async def test_who_may_open_a_room_is_asked_of_nobody_the_second_time(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await self.phone(world, "ann")
        asked = reads(world.here.store, monkeypatch, "roster")
        await self.phone(world, "bob")
        assert asked == []

    async def test_who_was_removed_gets_nothing_more_wherever_it_is_said(self, world: World) -> None:
        ann, bob = await self.phone(world, "ann"), await self.phone(world, "bob")
        await world.here.say(world.tenant, world.room_id, "before")
        assert self.lines(ann) == self.lines(bob) == ["before"]
        async with world.change() as node:
            await world.remove_bob(node)
            # Now, and not in time: whom a message goes to is read with the room, whoever changed it.
            await world.here.say(world.tenant, world.room_id, "after")
        assert "after" in self.lines(ann)
        assert "after" not in self.lines(bob)

    async def test_who_was_removed_may_send_nothing_more(self, world: World) -> None:
        parts = b'[{"type":"text","text":"still here"}]'
        await world.here.messages.send(world.tenant.id, world.room_id, "bob", parts=parts)
        async with world.change() as node:
            await world.remove_bob(node)
            with pytest.raises(NotFound):
                await world.here.messages.send(world.tenant.id, world.room_id, "bob", parts=parts)

    @pytest.mark.parametrize("event", ["join-room", "typing"])
    async def test_who_was_removed_does_nothing_more_in_the_room(self, world: World, event: str) -> None:
        bob = await self.phone(world, "bob")
        async with world.change() as node:
            await world.remove_bob(node)
        await world.here.emit(bob, event, {"roomId": world.room_id, "isTyping": True})
        assert ("error", {"message": "There is no such room."}) in bob.told()
