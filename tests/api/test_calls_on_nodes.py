"""A call among devices on different nodes: who rings, who falls silent, and which device has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from gateway.config import StoreSettings
from gateway.records import Sent, Tenant
from gateway.store.engine import open_store
from gateway.store.ports import MessageDraft, NewParticipant, RoomDraft, Store
from signaling.call import Call, Status
from signaling.calls import Who
from signaling.events import Notice
from signaling.ports import Policy
from tests.api.cluster import Member, Phone, open_nodes
from tests.delivery.cluster import Network

POLICY = Policy()


class Line:
    """Ann and bob in a room, and three nodes they may be connected to."""

    def __init__(self, store: Store, nodes: list[Member], tenant: Tenant, room_id: str) -> None:
        self.store = store
        self.nodes = nodes
        self.tenant = tenant
        self.room_id = room_id

    async def device(self, node: int, user_id: str) -> tuple[Phone, Who]:
        member = self.nodes[node]
        token = await member.token(self.tenant, user_id)
        caller = await member.authenticator.verify(token)
        return await member.connect(token), Who(self.tenant.id, user_id, caller.jti)

    async def write(self, node: int) -> None:
        """A message in the room."""

        def told(sent: Sent) -> None:
            assert sent.event is not None
            self.nodes[node].fanout.tell(self.tenant.id, sent.event)

        draft = MessageDraft(
            tenant_id=self.tenant.id, room_id=self.room_id, sender_id="ann", parts=b"[]", preview_text=None
        )
        await self.store.send_message(draft, then=told)

    async def start(self, node: int, who: Who) -> Call:
        calls = self.nodes[node].switchboard.calls
        return (await calls.start(who, self.room_id, type=None, policy=POLICY)).call

    async def accept(self, node: int, who: Who, call: Call) -> Call:
        calls = self.nodes[node].switchboard.calls
        return (await calls.accept(who, self.room_id, call.id, policy=POLICY)).call


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    settings = StoreSettings(synchronous="normal")
    async with (
        open_store(tmp_path / "gateway.db", settings=settings) as store,
        open_nodes(store, Network(), number=3) as nodes,
    ):
        tenant = await store.tenant((await store.create_tenant("acme")).id)
        assert tenant is not None
        people = [NewParticipant("ann"), NewParticipant("bob")]
        made = await store.create_room(RoomDraft(tenant_id=tenant.id, creator_id="ann", participants=people))
        yield Line(store, nodes, tenant, made.room.id)


def calls_told(phone: Phone) -> list[tuple[str, Any]]:
    return [(name, payload.get("reason")) for name, payload in phone.told() if name.startswith("call-")]


# Where bob's request comes in: where his phone is, where his tablet is, or neither.
@pytest.mark.parametrize("asked", range(3))
async def test_the_other_devices_fall_silent_whichever_nodes_they_are_on(line: Line, asked: int) -> None:
    anns, ann = await line.device(2, "ann")
    phone, bob = await line.device(0, "bob")
    tablet, _ = await line.device(1, "bob")
    call = await line.start(2, ann)
    for device in (phone, tablet):
        await device.until("call-invite", callId=call.id)

    await line.accept(asked, bob, call)

    await tablet.until("call-ended", callId=call.id, reason="answered_elsewhere")
    for device in (anns, phone):
        await device.until("call-accepted", callId=call.id)
    await line.nodes[1].switchboard.calls.leave(bob, line.room_id, call.id, policy=POLICY)
    await anns.until("call-ended", reason="left")
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert [reason for name, reason in calls_told(phone) if name == "call-ended"] == ["left"]


async def test_starts_that_cross_on_two_nodes_are_one_active_call(line: Line) -> None:
    _, ann = await line.device(0, "ann")
    _, bob = await line.device(1, "bob")
    found: list[Call] = []

    async def start(node: int, who: Who) -> None:
        found.append(await line.start(node, who))

    for _ in range(15):
        found.clear()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(start, 0, ann)
            nursery.start_soon(start, 1, bob)
        assert found[0].id == found[1].id
        live = await line.nodes[2].switchboard.calls.active(line.tenant.id, line.room_id, "ann")
        assert (live.status, live.joined) == (Status.ACTIVE, frozenset(("ann", "bob")))
        await line.nodes[2].switchboard.calls.leave(ann, line.room_id, live.id, policy=POLICY)


@pytest.mark.parametrize("during", range(1, 5))
async def test_a_call_that_begins_while_a_device_comes_in_rings_there_however_much_is_written_meanwhile(
    line: Line, monkeypatch: pytest.MonkeyPatch, during: int
) -> None:
    _, ann = await line.device(0, "ann")
    calls = line.nodes[0].switchboard.calls
    invites, reads = calls.invites, 0

    async def slow(tenant_id: str, user_id: str) -> list[Notice]:
        nonlocal reads
        found = await invites(tenant_id, user_id)
        reads += 1
        if reads == during:
            await line.start(0, ann)
        await line.write(0)
        return found

    monkeypatch.setattr(calls, "invites", slow)
    phone, _ = await line.device(0, "bob")
    if reads < during:
        await line.start(0, ann)
    await phone.until("call-invite")
