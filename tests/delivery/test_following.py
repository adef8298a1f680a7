"""What the bus did not bring is read from the log: soon, in order, once, and without asking for more than is missing."""

from __future__ import annotations

from collections.abc import Collection

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gateway.delivery.bus_memory import Exchange
from gateway.delivery.fanout import Fanout
from gateway.delivery.following import BATCH, CHECK_S, IDLE_S, PATIENCE_S, Following
from gateway.delivery.hub import Hub
from gateway.delivery.session import Session
from gateway.errors import Unavailable
from gateway.records import LogEvent
from tests.delivery.conftest import TENANT, session, told

SOON_S = 2 * PATIENCE_S


class Store:
    """The logs of all tenants, which any node may write.

    Attributes:
        asked: what was read, as words.
        away: nothing can be read.
    """

    def __init__(self) -> None:
        self.logs: dict[str, list[LogEvent]] = {}
        self.asked: list[str] = []
        self.away = False

    def append(self, tenant_id: str, text: str, *user_ids: str) -> LogEvent:
        log = self.logs.setdefault(tenant_id, [])
        event = LogEvent(len(log) + 1, "e", "new-message", b'{"text":"%b"}' % text.encode(), user_ids)
        log.append(event)
        return event

    async def log_heads(self, tenant_ids: Collection[str]) -> dict[str, int]:
        await self._read("heads")
        return {tenant_id: len(self.logs.get(tenant_id, [])) for tenant_id in tenant_ids}

    async def events_after(self, tenant_id: str, number: int, *, limit: int) -> list[LogEvent]:
        await self._read(f"{limit} after {number}")
        return self.logs.get(tenant_id, [])[number : number + limit]

    async def _read(self, what: str) -> None:
        await trio.lowlevel.checkpoint()
        if self.away:
            raise Unavailable("The store is away.", retry_after_s=1)
        self.asked.append(what)


class Node:
    """A node's delivery; ``told`` what one session of Ann has been told there."""

    def __init__(self, exchange: Exchange, store: Store) -> None:
        self.store = store
        self.hub = Hub()
        self.bus = exchange.node()
        self.fanout = Fanout(hub=self.hub, bus=self.bus)
        self.following = Following(hub=self.hub, order=self.fanout.order, bus=self.bus, log=store)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.bus.run)
            nursery.start_soon(self.following.run)
            task_status.started()

    async def connect(self, user_id: str, *, tenant_id: str = TENANT) -> Session:
        await self.following.attend(tenant_id)
        device = session(user_id, tenant_id=tenant_id)
        self.hub.add(device)
        return device

    def write(self, text: str, *user_ids: str, lost: bool = False) -> None:
        """Something happens on this node; ``lost``: it is committed, and the node dies before it can say so."""
        event = self.store.append(TENANT, text, *user_ids)
        if not lost:
            self.fanout.tell(TENANT, event)


def texts(device: Session) -> list[str]:
    return [payload["text"] for _, payload in told(device)]


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def nodes(nursery: trio.Nursery, store: Store) -> tuple[Node, Node]:
    exchange = Exchange()
    one, two = Node(exchange, store), Node(exchange, store)
    await nursery.start(one.run)
    await nursery.start(two.run)
    return one, two


async def test_what_happened_before_a_session_came_is_not_told_to_it(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    one.write("before", "ann")
    here, there = await one.connect("ann"), await two.connect("ann")
    one.write("after", "ann")
    await trio.sleep(SOON_S)
    assert (texts(here), texts(there)) == (["after"], ["after"])


async def test_what_the_bus_brings_is_not_read_again(nodes: tuple[Node, Node], store: Store) -> None:
    one, two = nodes
    await one.connect("ann")
    there = await two.connect("ann")
    await wait_all_tasks_blocked()
    store.asked.clear()
    for number in range(50):
        one.write(str(number), "ann")
        two.write(str(number), "ann")
    await trio.sleep(CHECK_S / 2)
    assert len(texts(there)) == 100
    assert not [asked for asked in store.asked if "after" in asked]


async def test_a_gap_is_filled_from_the_log_soon_and_in_order(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    here, there = await one.connect("ann"), await two.connect("ann")
    one.write("1", "ann")
    one.write("2", "ann", lost=True)
    one.write("3", "bob", lost=True)
    two.write("4", "ann")
    await trio.sleep(SOON_S)
    assert (texts(here), texts(there)) == (["1", "2", "4"], ["1", "2", "4"])


async def test_what_was_lost_last_is_found_by_the_next_check(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    there = await two.connect("ann")
    one.write("lost", "ann", lost=True)
    await trio.sleep(CHECK_S + SOON_S)
    assert texts(there) == ["lost"]


async def test_an_event_that_is_only_on_its_way_is_waited_for(nodes: tuple[Node, Node], store: Store) -> None:
    one, two = nodes
    there = await two.connect("ann")
    await trio.sleep(SOON_S)
    store.asked.clear()
    first, second = (store.append(TENANT, text, "ann") for text in "12")
    one.fanout.tell(TENANT, second)
    await trio.sleep(PATIENCE_S / 2)
    assert texts(there) == []
    one.fanout.tell(TENANT, first)
    await trio.sleep(SOON_S)
    assert texts(there) == ["1", "2"]
    assert store.asked == ["heads"]


async def test_a_bus_that_begins_again_makes_one_look_at_the_log(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    there = await two.connect("ann")
    await trio.sleep(SOON_S)
    one.write("lost", "ann", lost=True)
    two.bus.follow(TENANT)  # as after an interruption
    await trio.sleep(SOON_S)
    assert texts(there) == ["lost"]


async def test_a_node_far_behind_catches_up_in_batches(nodes: tuple[Node, Node], store: Store) -> None:
    one, two = nodes
    there = await two.connect("ann")
    expected = [str(number) for number in range(2 * BATCH + 1)]
    for text in expected:
        one.write(text, "ann", lost=True)
    await trio.sleep(CHECK_S + SOON_S)
    assert texts(there) == expected
    assert [asked for asked in store.asked if "after" in asked] == [
        f"{BATCH} after {number}" for number in (0, BATCH, 2 * BATCH)
    ]


async def test_a_store_that_is_away_is_asked_again(
    nodes: tuple[Node, Node], store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = nodes
    there = await two.connect("ann")
    store.away = True
    one.write("1", "ann", lost=True)
    two.write("2", "ann")
    await trio.sleep(CHECK_S + SOON_S)
    assert texts(there) == []
    assert "the logs could not be read" in capsys.readouterr().out
    store.away = False
    await trio.sleep(CHECK_S + SOON_S)
    assert texts(there) == ["1", "2"]


async def test_nobody_is_let_in_who_could_not_be_told_of_what_happens(
    nodes: tuple[Node, Node], store: Store
) -> None:
    one, _ = nodes
    store.away = True
    with pytest.raises(Unavailable):
        await one.following.attend(TENANT)
    store.away = False
    here = await one.connect("ann")
    one.write("1", "ann")
    assert texts(here) == ["1"]


async def test_only_the_first_session_of_a_tenant_waits_for_the_store(
    nodes: tuple[Node, Node], store: Store
) -> None:
    one, _ = nodes
    await one.connect("ann")
    await trio.sleep(SOON_S)
    store.asked.clear()
    await one.connect("ann")
    await one.connect("bob")
    assert store.asked == []


async def test_a_tenant_is_left_when_nobody_of_it_has_been_here_for_a_while(nodes: tuple[Node, Node]) -> None:
    one, _ = nodes
    here = await one.connect("ann")
    await trio.sleep(2 * IDLE_S)
    assert one.fanout.position(TENANT) == 0
    one.hub.remove(here)
    await trio.sleep(IDLE_S - CHECK_S)
    assert one.fanout.position(TENANT) == 0
    await trio.sleep(3 * CHECK_S)
    assert one.fanout.position(TENANT) is None
    again = await one.connect("ann")
    one.write("1", "ann")
    assert texts(again) == ["1"]


async def test_the_bus_is_told_which_tenants_to_bring(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = nodes
    told_bus: list[tuple[str, str]] = []
    monkeypatch.setattr(one.bus, "follow", lambda tenant_id: told_bus.append(("follow", tenant_id)))
    monkeypatch.setattr(one.bus, "unfollow", lambda tenant_id: told_bus.append(("unfollow", tenant_id)))
    devices = [await one.connect("ann"), await one.connect("bob")]
    for device in devices:
        one.hub.remove(device)
    await trio.sleep(IDLE_S + 3 * CHECK_S)
    assert told_bus == [("follow", TENANT), ("unfollow", TENANT)]


async def test_a_database_that_is_put_back_to_an_earlier_state_is_followed_from_there(
    nodes: tuple[Node, Node], store: Store
) -> None:
    one, two = nodes
    there = await two.connect("ann")
    for number in range(5):
        one.write(f"{number}", "ann")
    await trio.sleep(CHECK_S + SOON_S)
    assert len(texts(there)) == 5
    del store.logs[TENANT][2:]
    await trio.sleep(CHECK_S + SOON_S)
    two.write("another 3", "ann")
    one.write("another 4", "ann")
    await trio.sleep(SOON_S)
    assert texts(there) == ["another 3", "another 4"]


async def test_an_event_for_nobody_here_leaves_no_gap(nodes: tuple[Node, Node], store: Store) -> None:
    one, two = nodes
    there = await two.connect("ann")
    await trio.sleep(SOON_S)
    store.asked.clear()
    one.write("to nobody")
    one.write("to bob", "bob")
    one.write("to ann", "ann")
    await wait_all_tasks_blocked()
    assert texts(there) == ["to ann"]
    assert store.asked == []
