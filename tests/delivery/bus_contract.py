"""What every bus must do. A module per bus says how its nodes come and go, and takes these tests as they are.

::

    class TestRedisBus(BusContract):
        @pytest.fixture
        async def attach(self, ...) -> Attach: ...
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import trio

from gateway.delivery.bus import Bus, Envelope

TENANT = "acme"
TOPIC = "presence"

BURST = 2_000
"""Far more than a node publishes before another node comes by, and far less than any bound."""


class Node:
    """One attached node: its end of the bus, and what it was brought.

    Args:
        detach: ends the bus's ``run``, and comes back when the node is no longer attached.
    """

    def __init__(self, bus: Bus, detach: Callable[[], Awaitable[None]]) -> None:
        self.bus = bus
        self.detach = detach
        self.got: list[Envelope] = []
        self.seen: set[Envelope] = set()
        self.heard: list[tuple[str, bytes]] = []
        self.attached = 0
        self.follows = 0
        self._follows: dict[str, trio.Event] = {}
        self._changed = trio.Event()
        bus.subscribe(self.deliver, followed=self.followed)
        bus.listen(TOPIC, self.hear)
        bus.on_attached(self.has_attached)

    def deliver(self, envelope: Envelope) -> None:
        self.got.append(envelope)
        self.seen.add(envelope)
        self._wake()

    def hear(self, node_id: str, body: bytes) -> None:
        self.heard.append((node_id, body))
        self._wake()

    def has_attached(self) -> None:
        self.attached += 1
        self._wake()

    def followed(self, tenant_id: str) -> None:
        self.follows += 1
        self._follows[tenant_id].set()

    async def follow(self, tenant_id: str) -> None:
        self._follows[tenant_id] = trio.Event()
        self.bus.follow(tenant_id)
        await self._follows[tenant_id].wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def until_heard(self, last: bytes) -> list[tuple[str, bytes]]:
        while last not in [body for _, body in self.heard]:
            await self._changed.wait()
        return self.heard

    async def until(self, last: Envelope) -> list[Envelope]:
        """Everything up to and with ``last``. There being nothing more is shown by a later envelope, not by waiting."""
        while last not in self.seen:
            await self._changed.wait()
        return self.got


Attach: TypeAlias = Callable[[], Awaitable[Node]]
"""Makes a node, subscribes and runs it; comes back when it is attached and follows ``TENANT``, so that it gets whatever
is published next."""


def envelope(name: object) -> Envelope:
    return Envelope(TENANT, ("ann", "bob"), "new-message", b'{"id":"%b"}' % str(name).encode())


END = envelope("end")


class BusContract:
    async def test_what_one_node_publishes_reaches_every_other_once_and_in_order(
        self, attach: Attach
    ) -> None:
        nodes = [await attach() for _ in range(3)]
        sent = [envelope(number) for number in range(BURST)]
        for item in sent:
            nodes[0].bus.publish(item)
        nodes[0].bus.publish(END)
        for node in nodes[1:]:
            assert await node.until(END) == [*sent, END]

    async def test_nothing_comes_back_to_the_node_that_published_it(self, attach: Attach) -> None:
        one, other = await attach(), await attach()
        one.bus.publish(envelope("of one"))
        await other.until(envelope("of one"))
        other.bus.publish(END)
        assert await one.until(END) == [END]

    async def test_each_publishers_order_is_kept_when_all_publish_at_once(self, attach: Attach) -> None:
        nodes = [await attach() for _ in range(3)]
        for number in range(100):
            for publisher, node in enumerate(nodes):
                node.bus.publish(envelope(f"{publisher} {number:03}"))
                await trio.lowlevel.checkpoint()
        for publisher, node in enumerate(nodes):
            node.bus.publish(envelope(f"{publisher} end"))
        for receiver, node in enumerate(nodes):
            for publisher in {0, 1, 2} - {receiver}:
                await node.until(envelope(f"{publisher} end"))
            names = [item.payload[7:-2].decode() for item in node.got]
            for publisher in {0, 1, 2} - {receiver}:
                expected = [f"{publisher} {number:03}" for number in range(100)] + [f"{publisher} end"]
                assert [name for name in names if name.startswith(str(publisher))] == expected
            assert len(names) == 202

    async def test_an_envelope_arrives_as_it_was_sent(self, attach: Attach) -> None:
        one, other = await attach(), await attach()
        sent = [
            Envelope(TENANT, (), "typing", b"{}", None, True),
            Envelope(TENANT, tuple(f"ü{n}" for n in range(1_000)), "new-message", b'{"x":"\xe2\x98\x83"}'),
            Envelope(TENANT, ("ann",), "room-read", b"{}", number=2**40, epoch="e"),
            Envelope(TENANT, ("ann",), "room-read", b'{"big":"' + b"x" * 100_000 + b'"}', but="ann"),
        ]
        for item in sent:
            one.bus.publish(item)
        one.bus.publish(END)
        assert await other.until(END) == [*sent, END]

    async def test_each_tenant_that_a_node_follows_has_its_own_order(self, attach: Attach) -> None:
        one, other = await attach(), await attach()
        tenants = [TENANT, "tenant/ü"]
        await other.follow(tenants[1])
        sent = [Envelope(tenant, (), "typing", b"%d" % n) for n in range(100) for tenant in tenants]
        for item in sent:
            one.bus.publish(item)
        for tenant in tenants:
            mine = [item for item in sent if item.tenant_id == tenant]
            assert [item for item in await other.until(mine[-1]) if item.tenant_id == tenant] == mine

    async def test_a_node_that_comes_late_gets_what_is_published_from_then_on(self, attach: Attach) -> None:
        one, other = await attach(), await attach()
        one.bus.publish(envelope("before"))
        await other.until(envelope("before"))
        late = await attach()
        one.bus.publish(END)
        assert await late.until(END) == [END]

    async def test_a_lonely_node_may_publish(self, attach: Attach) -> None:
        lonely = await attach()
        for number in range(BURST):
            lonely.bus.publish(envelope(number))
        other = await attach()
        lonely.bus.publish(END)
        assert await other.until(END) == [END]
        assert lonely.got == []

    async def test_publishing_waits_for_nobody_and_what_is_lost_is_counted(self, attach: Attach) -> None:
        one, other = await attach(), await attach()
        flood = 70_000  # more than may wait of any bus, be it counted in messages or in bytes
        item = envelope("x" * 500)
        for _ in range(flood):  # nobody else runs meanwhile: the other node cannot take anything
            one.bus.publish(item)
        ends = 0
        while END not in other.seen:  # an end may be lost like anything else
            one.bus.publish(END)
            ends += 1
            await trio.lowlevel.checkpoint()
        await other.until(END)
        dropped = one.bus.statistics()["dropped"] + other.bus.statistics()["dropped"]
        assert dropped > 0
        assert other.got.count(item) >= 1
        assert other.got.count(item) + dropped in range(flood, flood + ends)

    async def test_a_node_that_has_left_gets_nothing_more_and_disturbs_nobody(self, attach: Attach) -> None:
        one, leaving, other = await attach(), await attach(), await attach()
        one.bus.publish(envelope("before"))
        await leaving.until(envelope("before"))
        await leaving.detach()
        one.bus.publish(END)
        await other.until(END)
        assert leaving.got == [envelope("before")]
        assert leaving.bus.statistics()["waiting"] == 0

    async def test_who_has_waited_until_all_is_sent_may_end(self, attach: Attach) -> None:
        one, other = await attach(), await attach()
        sent = [envelope(number) for number in range(BURST)]
        for item in sent:
            one.bus.publish(item)
        one.bus.signal(TOPIC, b"goodbye")
        await one.bus.wait_sent()
        await one.detach()
        assert await other.until(sent[-1]) == sent
        assert await other.until_heard(b"goodbye") == [(one.bus.node_id, b"goodbye")]

    async def test_statistics_count_what_was_published(self, attach: Attach) -> None:
        one, other = await attach(), await attach()
        for number in range(3):
            one.bus.publish(envelope(number))
        one.bus.publish(END)
        await other.until(END)
        assert (one.bus.statistics()["published"], other.bus.statistics()["published"]) == (4, 0)
        assert (one.bus.statistics()["dropped"], other.bus.statistics()["dropped"]) == (0, 0)

    async def test_a_signal_reaches_every_other_node_once_with_its_senders_name(self, attach: Attach) -> None:
        nodes = [await attach() for _ in range(3)]
        nodes[0].bus.signal(TOPIC, b"\x00\xff")
        nodes[1].bus.signal(TOPIC, b"end")
        expected = [(nodes[0].bus.node_id, b"\x00\xff"), (nodes[1].bus.node_id, b"end")]
        await nodes[2].until_heard(b"end")
        assert sorted(await nodes[2].until_heard(b"\x00\xff")) == sorted(expected)
        assert await nodes[0].until_heard(b"end") == expected[1:]
        assert await nodes[1].until_heard(b"\x00\xff") == expected[:1]

    async def test_a_signal_on_a_topic_that_nobody_listens_to_is_nobodys(self, attach: Attach) -> None:
        one, other = await attach(), await attach()
        one.bus.signal("something newer", b"what a later version says")
        one.bus.signal(TOPIC, b"end")
        assert await other.until_heard(b"end") == [(one.bus.node_id, b"end")]

    async def test_signals_keep_their_order(self, attach: Attach) -> None:
        one, other = await attach(), await attach()
        sent = [b"%d" % number for number in range(BURST)]
        for body in sent:
            one.bus.signal(TOPIC, body)
        assert [body for _, body in await other.until_heard(sent[-1])] == sent

    async def test_every_node_has_a_name_of_its_own_and_says_that_it_is_attached(
        self, attach: Attach
    ) -> None:
        nodes = [await attach() for _ in range(3)]
        assert len({node.bus.node_id for node in nodes}) == 3
        assert all(node.bus.attached for node in nodes)
        assert [node.attached for node in nodes] == [1, 1, 1]
        await nodes[0].detach()
        assert not nodes[0].bus.attached
