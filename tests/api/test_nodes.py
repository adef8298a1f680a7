"""What holds at once on every node: who is signed out, who has been put out of a room, which key is good; and typing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from gateway.api import socket
from gateway.api.revocations import LOOK_S, OVERLAP_MS, Revocations
from gateway.config import StoreSettings
from gateway.errors import Unauthorized, Unavailable
from gateway.net.ports import Refused
from gateway.records import LogEvent, Roster, Tenant, now_ms
from gateway.store.engine import open_store
from gateway.store.ports import NewParticipant, RoomDraft, Store
from gateway.wire.http import Request
from tests.api.cluster import GRACE_S, LEASE_S, Member, Phone, open_nodes
from tests.delivery.cluster import Network

SECOND = 1.0  # within which it must be known everywhere


class Platform:
    """Two nodes on one store, and a tenant in which ann and bob share a room."""

    def __init__(self, store: Store, network: Network, nodes: list[Member], tenant: Tenant, key: str) -> None:
        self.store = store
        self.network = network
        self.north, self.south = nodes
        self.tenant = tenant
        self.key = key
        self.room_id = ""

    async def identify(self, node: Member, **headers: str) -> str | None:
        """Whom a node takes the sender of these headers for."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return (
            await node.authenticator.identify(Request("GET", "/v1", query="", headers=names, body=b""))
        ).user_id


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    settings = StoreSettings(synchronous="normal")
    network = Network()
    async with (
        open_store(tmp_path / "gateway.db", settings=settings) as store,
        open_nodes(store, network) as nodes,
    ):
        keys = await store.create_tenant("acme")
        tenant = await store.tenant(keys.id)
        assert tenant is not None
        platform = Platform(store, network, nodes, tenant, keys.api_key)
        people = [NewParticipant("ann"), NewParticipant("bob")]
        made = await store.create_room(RoomDraft(tenant_id=keys.id, creator_id="ann", participants=people))
        platform.room_id = made.room.id
        yield platform


async def ends(*phones: Phone) -> None:
    """Wait until the server has ended them."""
    with trio.fail_after(SECOND):
        for phone in phones:
            await phone.ended.wait()


class TestRevocation:
    async def test_a_user_is_signed_out_on_every_node_within_a_second(self, platform: Platform) -> None:
        north, south = platform.north, platform.south
        token = await north.token(platform.tenant, "ann")
        here, there = await north.connect(token), await south.connect(token)
        bob = await south.connect(await south.token(platform.tenant, "bob"))
        bearer = f"Bearer {token}"
        assert await platform.identify(south, authorization=bearer) == "ann"

        await north.revocations.revoke(platform.tenant.id, user_id="ann")

        await ends(here, there)
        for phone in (here, there):
            assert ("error", {"message": "Session revoked"}) in phone.told()
        for node in (north, south):
            with pytest.raises(Unauthorized) as refused:
                await platform.identify(node, authorization=bearer)
            assert refused.value.code == "token_revoked"
            with pytest.raises(Refused):
                await node.connect(token)
        assert not bob.over

    async def test_who_signs_in_again_at_once_is_let_in(self, platform: Platform) -> None:
        await platform.north.revocations.revoke(platform.tenant.id, user_id="ann")
        token = await platform.south.token(platform.tenant, "ann")
        phone = await platform.south.connect(token)
        assert await platform.identify(platform.north, authorization=f"Bearer {token}") == "ann"
        await trio.sleep(LOOK_S * 2)
        assert not phone.over

    async def test_one_token_is_taken_back_and_the_users_others_stay(self, platform: Platform) -> None:
        north, south = platform.north, platform.south
        lost, kept = [await north.token(platform.tenant, "ann") for _ in range(2)]
        phone, tablet = await south.connect(lost), await south.connect(kept)
        caller = await north.authenticator.verify(lost)
        await north.revocations.revoke(platform.tenant.id, user_id="ann", jti=caller.jti)
        await ends(phone)
        assert not tablet.over
        assert await platform.identify(south, authorization=f"Bearer {kept}") == "ann"

    async def test_a_whole_tenant_is_signed_out(self, platform: Platform) -> None:
        phones = [
            await node.connect(await node.token(platform.tenant, user_id))
            for node in (platform.north, platform.south)
            for user_id in ("ann", "bob")
        ]
        await platform.south.revocations.revoke(platform.tenant.id, user_id=None)
        await ends(*phones)

    async def test_a_lost_word_is_made_good_within_a_second(self, platform: Platform) -> None:
        token = await platform.north.token(platform.tenant, "ann")
        phone = await platform.south.connect(token)
        assert await platform.identify(platform.south, authorization=f"Bearer {token}") == "ann"
        platform.network.loses = lambda: True
        await platform.north.revocations.revoke(platform.tenant.id, user_id="ann")
        await ends(phone)
        with pytest.raises(Unauthorized):
            await platform.identify(platform.south, authorization=f"Bearer {token}")

    async def test_what_an_operators_command_takes_back_is_seen_by_itself(self, platform: Platform) -> None:
        phone = await platform.south.connect(await platform.north.token(platform.tenant, "ann"))
        await platform.store.revoke(platform.tenant.id, user_id="ann")  # by no node
        await ends(phone)

    async def test_what_a_machine_with_a_slow_clock_takes_back_is_seen_too(
        self, platform: Platform, nursery: trio.Nursery
    ) -> None:
        ahead = Revocations(
            store=platform.store, peers=platform.north.peers, clock=lambda: now_ms() + OVERLAP_MS - 10_000
        )
        seen = trio.Event()
        ahead.on_revoked(lambda _: seen.set())
        nursery.start_soon(ahead.run)
        await platform.north.token(platform.tenant, "ann")
        await trio.sleep(LOOK_S / 2)
        await platform.store.revoke(platform.tenant.id, user_id="ann")
        with trio.fail_after(SECOND):
            await seen.wait()

    async def test_one_who_is_just_coming_in_is_put_out_again(self, platform: Platform) -> None:
        north = platform.north
        token = await north.token(platform.tenant, "ann")
        verified = trio.Event()
        revoked = trio.Event()
        snapshot = north.presence.snapshot

        async def slow(tenant_id: str, user_id: str) -> bytes:
            verified.set()
            await revoked.wait()
            return await snapshot(tenant_id, user_id)

        north.presence.snapshot = slow  # type: ignore[method-assign]
        phones = []
        async with trio.open_nursery() as nursery:

            async def come() -> None:
                phones.append(await north.connect(token))

            nursery.start_soon(come)
            await verified.wait()
            await platform.south.revocations.revoke(platform.tenant.id, user_id="ann")
            await trio.sleep(LOOK_S / 10)
            revoked.set()
        await ends(*phones)

    async def test_more_revocations_than_are_remembered_make_no_token_good(
        self, platform: Platform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gateway.api.revocations.MOST", 3)
        token = await platform.south.token(platform.tenant, "ann")
        bearer = f"Bearer {token}"
        assert await platform.identify(platform.south, authorization=bearer) == "ann"
        caller = await platform.south.authenticator.verify(token)
        for jti in (caller.jti, "1", "2", "3", "4"):
            await platform.north.revocations.revoke(platform.tenant.id, user_id="ann", jti=jti)
        await trio.sleep(LOOK_S / 10)
        with pytest.raises(Unauthorized):
            await platform.identify(platform.south, authorization=bearer)


class TestTenant:
    async def test_a_key_that_was_replaced_is_bad_on_the_other_node_at_once(self, platform: Platform) -> None:
        assert await platform.identify(platform.south, x_api_key=platform.key) is None
        await platform.store.rotate_keys(platform.tenant.id)
        platform.north.authenticator.forget_tenant(platform.tenant.id)
        await trio.sleep(0.05)  # the bus
        with pytest.raises(Unauthorized):
            await platform.identify(platform.south, x_api_key=platform.key)

    async def test_a_key_that_an_operators_command_replaced_is_bad_within_a_second(
        self, platform: Platform
    ) -> None:
        assert await platform.identify(platform.south, x_api_key=platform.key) is None
        await platform.store.rotate_keys(platform.tenant.id)
        await trio.sleep(SECOND)
        with pytest.raises(Unauthorized):
            await platform.identify(platform.south, x_api_key=platform.key)


class TestRooms:
    async def test_one_who_is_put_out_of_a_room_leaves_it_on_every_node(self, platform: Platform) -> None:
        north, south = platform.north, platform.south
        ann = await north.connect(await north.token(platform.tenant, "ann"))
        bob = await south.connect(await south.token(platform.tenant, "bob"))
        await north.emit(ann, "join-room", {"roomId": platform.room_id})
        await south.emit(bob, "join-room", {"roomId": platform.room_id})
        await south.emit(bob, "typing", {"roomId": platform.room_id, "isTyping": True})
        await ann.until("typing", isTyping=True)

        await self.remove_bob(platform)
        north.sockets.expel(platform.tenant.id, "bob", platform.room_id)

        await bob.until("left-room", roomId=platform.room_id)
        await ann.until("typing", isTyping=False)

    async def test_so_he_does_when_a_node_of_a_later_version_says_more(self, platform: Platform) -> None:
        north, south = platform.north, platform.south
        bob = await south.connect(await south.token(platform.tenant, "bob"))
        await south.emit(bob, "join-room", {"roomId": platform.room_id})
        await bob.until("joined-room")
        said = msgspec.json.encode([platform.tenant.id, "bob", platform.room_id, "something newer"])
        north.peers.say("expelled", said)
        await bob.until("left-room", roomId=platform.room_id)

    async def test_a_lost_word_of_it_is_made_good_by_itself(self, platform: Platform) -> None:
        north, south = platform.north, platform.south
        bob = await south.connect(await south.token(platform.tenant, "bob"))
        await south.emit(bob, "join-room", {"roomId": platform.room_id})
        await self.remove_bob(platform)
        platform.network.loses = lambda: True
        north.rosters.forget(platform.room_id)
        north.sockets.expel(platform.tenant.id, "bob", platform.room_id)
        platform.network.loses = lambda: False
        await bob.until("left-room", roomId=platform.room_id)
        await south.emit(bob, "join-room", {"roomId": platform.room_id})
        await bob.until("error", message="There is no such room.")

    async def test_a_store_that_is_away_at_that_moment_is_looked_into_later(
        self, platform: Platform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        north, south = platform.north, platform.south
        monkeypatch.setattr(socket, "AGAIN_S", 0.05)
        bob = await south.connect(await south.token(platform.tenant, "bob"))
        await south.emit(bob, "join-room", {"roomId": platform.room_id})
        await self.remove_bob(platform)
        roster, failures = (
            platform.store.roster,
            [OSError("the disk is gone"), Unavailable("The store is away.")],
        )

        async def fails(tenant_id: str, room_id: str) -> Roster | None:
            if failures:
                raise failures.pop()
            return await roster(tenant_id, room_id)

        monkeypatch.setattr(platform.store, "roster", fails)
        platform.network.loses = lambda: True
        north.rosters.forget(platform.room_id)
        north.sockets.expel(platform.tenant.id, "bob", platform.room_id)
        platform.network.loses = lambda: False
        await bob.until("left-room", roomId=platform.room_id)
        assert not failures

    async def test_one_who_is_put_out_while_he_comes_back_does_not_come_back_to_the_room(
        self, platform: Platform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        south, room_id = platform.south, platform.room_id
        token = await south.token(platform.tenant, "bob")
        bob, tablet = await south.connect(token), await south.connect(token)
        for device in (bob, tablet):
            await south.emit(device, "join-room", {"roomId": room_id})
        south.sockets.gone(bob, "transport close")  # type: ignore[arg-type]
        missed_events = platform.store.missed_events

        async def meanwhile(*args: Any, **options: Any) -> list[LogEvent] | None:
            await self.remove_bob(platform)
            platform.north.sockets.expel(platform.tenant.id, "bob", room_id)
            await tablet.until("left-room", roomId=room_id)  # so that the word is here
            return await missed_events(*args, **options)

        monkeypatch.setattr(platform.store, "missed_events", meanwhile)
        again = await south.connect(token, pid=bob.pid)
        assert again.sid == bob.sid
        assert south.hub.present(room_id) == {}

    async def remove_bob(self, platform: Platform) -> None:
        await platform.store.remove_participant(
            platform.tenant.id, platform.room_id, "bob", actor_id=None, by_server=True
        )


class TestTyping:
    async def test_it_is_seen_on_every_node_and_its_end_too(self, platform: Platform) -> None:
        ann = await platform.north.connect(await platform.north.token(platform.tenant, "ann"))
        bob = await platform.south.connect(await platform.south.token(platform.tenant, "bob"))
        await platform.south.emit(bob, "typing", {"roomId": platform.room_id, "isTyping": True})
        await ann.until("typing", userId="bob", isTyping=True)
        platform.south.sockets.gone(bob, "transport close")  # type: ignore[arg-type]
        await ann.until("typing", userId="bob", isTyping=False)

    async def test_what_a_dead_node_cannot_end_the_others_end(self, platform: Platform) -> None:
        ann = await platform.north.connect(await platform.north.token(platform.tenant, "ann"))
        bob = await platform.south.connect(await platform.south.token(platform.tenant, "bob"))
        await platform.south.emit(bob, "typing", {"roomId": platform.room_id, "isTyping": True})
        await ann.until("typing", userId="bob", isTyping=True)
        await trio.sleep(0.1)  # the beat in which a node tells of it
        platform.south.die()
        with trio.fail_after(LEASE_S + GRACE_S + 2):
            await ann.until("typing", userId="bob", isTyping=False)

    async def test_one_who_types_on_is_not_ended_by_the_death_of_a_node(self, platform: Platform) -> None:
        ann = await platform.north.connect(await platform.north.token(platform.tenant, "ann"))
        bob = await platform.north.connect(await platform.north.token(platform.tenant, "bob"))
        await platform.north.emit(bob, "typing", {"roomId": platform.room_id, "isTyping": True})
        await ann.until("typing", userId="bob", isTyping=True)
        platform.south.die()
        await trio.sleep(LEASE_S + GRACE_S + 0.5)
        assert not [name for name, _ in ann.told() if name == "typing"]
