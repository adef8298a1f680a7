"""Fan-out: who is told, in which order, and at what price."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio

from gateway.delivery import fanout as fanout_module
from gateway.delivery.bus import Deliver, Envelope, Hear
from gateway.delivery.bus_memory import Exchange
from gateway.delivery.fanout import Fanout
from gateway.delivery.hub import Hub
from gateway.delivery.session import Session
from gateway.wire.prepared import Prepared
from tests.delivery.conftest import TENANT, session, told


class Bus:
    """A bus that keeps what is published; ``deliver`` brings what another node has."""

    def __init__(self) -> None:
        self.node_id = "this node"
        self.attached = True
        self.published: list[Envelope] = []

    def publish(self, envelope: Envelope) -> None:
        self.published.append(envelope)

    def subscribe(self, deliver: Deliver, *, followed: Callable[[str], None]) -> None:
        self.deliver = deliver
        self.followed = followed

    def follow(self, tenant_id: str) -> None:
        self.followed(tenant_id)

    def unfollow(self, tenant_id: str) -> None: ...

    def signal(self, topic: str, body: bytes) -> None: ...

    def listen(self, topic: str, hear: Hear) -> None: ...

    def on_attached(self, call: Callable[[], None]) -> None: ...

    async def wait_sent(self) -> None: ...

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        raise AssertionError("nobody runs it here")

    def statistics(self) -> dict[str, int]:
        return {}


def setup(*user_ids: str) -> tuple[Fanout, Bus, list[Session]]:
    hub, bus = Hub(), Bus()
    fanout = Fanout(hub=hub, bus=bus)
    devices = [session(user_id) for user_id in user_ids]
    for device in devices:
        hub.add(device)
    return fanout, bus, devices


def test_every_device_of_every_recipient_is_told_and_nobody_else() -> None:
    fanout, _, (ann, ann2, bob, cyn) = setup("ann", "ann", "bob", "cyn")
    fanout.to_users(TENANT, ["ann", "bob", "nobody"], "new-message", b'{"id":"m1"}')
    assert [told(device) for device in (ann, ann2, bob)] == [[("new-message", {"id": "m1"})]] * 3
    assert told(cyn) == []


def test_another_tenants_user_of_the_same_name_hears_nothing() -> None:
    fanout, _, (ann,) = setup("ann")
    fanout.to_users("elsewhere", ["ann"], "new-message", b"{}")
    assert told(ann) == []


def test_the_order_of_calls_is_the_order_on_every_wire() -> None:
    fanout, _, devices = setup("ann", "bob", "cyn")
    for number in range(100):
        recipients = ["ann", "bob", "cyn"][number % 3 :]
        fanout.to_users(TENANT, recipients, "new-message", b'{"n":%d}' % number)
    for device in devices:
        numbers = [payload["n"] for _, payload in told(device)]
        assert numbers == sorted(numbers)
        assert numbers


def test_one_recipient_may_be_left_out_with_all_his_devices() -> None:
    fanout, bus, (ann, ann2, bob) = setup("ann", "ann", "bob")
    fanout.to_users(TENANT, ["ann", "bob"], "typing", b"{}", but="ann")
    assert [len(told(device)) for device in (ann, ann2, bob)] == [0, 0, 1]
    assert bus.published[0].but == "ann"


def test_all_outboxes_get_the_same_object() -> None:
    fanout, _, devices = setup("ann", "bob", "cyn")
    fanout.to_users(TENANT, ["ann", "bob", "cyn"], "new-message", b"{}")
    items: list[Prepared] = [device.outbox.take()[0] for device in devices]
    assert items[0] is items[1] is items[2]


def test_nothing_is_encoded_for_recipients_who_are_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    fanout, bus, _ = setup("ann")

    def never(name: str, payload: bytes) -> Prepared:
        raise AssertionError("encoded for nobody")

    monkeypatch.setattr(fanout_module, "prepare_event", never)
    fanout.to_users(TENANT, ["bob"], "new-message", b"{}")
    fanout.to_present("an empty room", "presence", b"{}")
    assert len(bus.published) == 1


def test_a_transient_event_is_dropped_for_whoever_lags_and_for_nobody_else() -> None:
    fanout, _, (ann, bob) = setup("ann", "bob")
    ann.outbox.size = ann.outbox.limit_bytes // 2
    fanout.to_users(TENANT, ["ann", "bob"], "typing", b"{}", transient=True)
    assert (told(ann), told(bob)) == ([], [("typing", {})])


def test_a_recipient_who_is_too_slow_is_given_up_and_the_others_are_told() -> None:
    fanout, _, (ann, bob) = setup("ann", "bob")
    ann.outbox.size = ann.outbox.limit_bytes
    fanout.to_users(TENANT, ["ann", "bob"], "new-message", b"{}")
    assert ann.outbox.closed
    assert len(told(bob)) == 1


def test_what_is_published_says_everything_another_node_needs() -> None:
    fanout, bus, _ = setup()
    fanout.to_users(TENANT, ["ann", "bob"], "typing", b'{"x":1}', but="bob", transient=True)
    assert bus.published == [Envelope(TENANT, ("ann", "bob"), "typing", b'{"x":1}', "bob", True)]


def test_two_nodes_tell_the_users_of_both() -> None:
    exchange = Exchange()
    hubs = [Hub(), Hub()]
    buses = [exchange.node(), exchange.node()]
    fanouts = [Fanout(hub=hub, bus=bus) for hub, bus in zip(hubs, buses, strict=True)]
    devices = [session("ann"), session("bob")]
    for hub, device in zip(hubs, devices, strict=True):
        hub.add(device)
    fanouts[0].to_users(TENANT, ["ann", "bob"], "new-message", b"{}")
    assert len(told(devices[0])) == 1
    assert buses[1].statistics()["waiting"] == 1


def test_those_who_have_a_room_open_are_told_but_for_the_one_who_did_it() -> None:
    hub = Hub()
    fanout = Fanout(hub=hub, bus=Exchange().node())
    devices = [session(user) for user in ("ann", "ann", "bob", "cyn")]
    for device in devices:
        hub.add(device)
    for device in devices[:3]:
        hub.enter(device, "r1")
    hub.enter(devices[3], "r2")
    fanout.to_present("r1", "presence", b"{}", but=devices[0])
    assert [len(told(device)) for device in devices] == [0, 1, 1, 0]


def test_one_connection_can_be_told_alone() -> None:
    _, _, (ann, ann2) = setup("ann", "ann")
    Fanout.to_session(ann, "error", b'{"message":"no"}')
    assert (told(ann), told(ann2)) == ([("error", {"message": "no"})], [])
