"""A client that comes back gets exactly what it has missed, or begins anew; never anything between the two."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count

import msgspec
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gateway.delivery.recovery import REACH_S, RENEW_MS
from gateway.errors import Unavailable
from gateway.records import now_ms
from tests.delivery.cluster import Network
from tests.delivery.conftest import TENANT
from tests.delivery.returning import HOME, MOST, Client, Kept, Place
from tests.delivery.test_following import SOON_S


@pytest.fixture
def store() -> Kept:
    return Kept()


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
async def node(nursery: trio.Nursery, network: Network, store: Kept) -> Place:
    place = Place(network, store)
    await nursery.start(place.run)
    return place


@pytest.fixture
async def other(nursery: trio.Nursery, network: Network, store: Kept) -> Place:
    place = Place(network, store)
    await nursery.start(place.run)
    return place


async def test_it_gets_what_it_missed_and_goes_on(node: Place) -> None:
    ann = Client()
    await ann.connect(node)
    node.write("1", "ann")
    ann.cut()
    node.write("2", "ann", "bob")
    node.write("3", "bob")
    node.write("4", "ann")

    await ann.connect(node)
    node.write("5", "ann")

    assert ann.recovered
    assert ann.hear() == [1, 2, 4, 5]


async def test_it_costs_two_queries_on_a_node_that_has_others_of_its_tenant(node: Place, store: Kept) -> None:
    ann, bob = Client(), Client()
    await bob.connect(node)
    await ann.connect(node)
    ann.cut()
    for name in range(MOST):
        node.write(str(name), "ann")
    await wait_all_tasks_blocked()  # the node has looked where its tenant's log ends
    asked = len(store.asked)

    await ann.connect(node)

    assert len(ann.hear()) == MOST
    assert store.asked[asked:] == ["returning", "missed"]


async def test_what_was_sent_and_did_not_arrive_was_missed(node: Place) -> None:
    ann = Client()
    await ann.connect(node)
    for text in "123":
        node.write(text, "ann")
    ann.cut(lost=2)

    await ann.connect(node)

    assert ann.hear() == [1, 2, 3]


async def test_who_was_told_nothing_yet_has_missed_what_came_since_he_began(node: Place) -> None:
    node.write("before", "ann")
    ann = Client()
    await ann.connect(node)
    ann.cut()
    node.write("after", "ann")

    await ann.connect(node)

    assert ann.recovered
    assert ann.hear() == [2]


async def test_an_offset_of_the_socket_before_is_not_gone_back_to(node: Place) -> None:
    """A client that had to begin anew keeps its last offset until the next event."""
    ann = Client()
    await ann.connect(node)
    node.write("1", "ann")
    ann.cut()
    node.write("2", "ann")
    ann.pid = None
    await ann.connect(node)
    ann.cut()
    node.write("3", "ann")

    await ann.connect(node)

    assert ann.offset == "e-1"
    assert ann.hear() == [3]


async def test_what_happens_while_it_is_caught_up_comes_once_and_in_its_place(
    node: Place, store: Kept
) -> None:
    ann = Client()
    await ann.connect(node)
    node.write("1", "ann")
    ann.cut()
    node.write("2", "ann")

    def happen() -> None:
        node.write("3", "ann")
        node.write("4", "bob")

    store.on_read = happen
    await ann.connect(node)
    node.write("5", "ann")

    assert ann.hear() == [1, 2, 3, 5]


async def test_it_comes_back_on_another_node(node: Place, other: Place) -> None:
    ann = Client()
    await ann.connect(node)
    node.write("1", "ann")
    await trio.sleep(SOON_S)
    ann.cut()
    node.write("2", "ann")

    await ann.connect(other)

    assert ann.recovered
    await trio.sleep(SOON_S)
    assert ann.hear() == [1, 2]


async def test_a_node_that_lags_behind_the_client_catches_up_first(
    node: Place, other: Place, network: Network
) -> None:
    await Client("bob").connect(other)
    network.loses = lambda: True
    ann = Client()
    await ann.connect(node)
    for text in "123":
        node.write(text, "ann")
    ann.cut()
    assert other.fanout.position(TENANT) == 0

    await ann.connect(other)
    await trio.sleep(SOON_S)

    assert ann.recovered
    assert ann.hear() == [1, 2, 3]


async def test_on_a_node_that_does_not_catch_up_it_begins_anew(
    nursery: trio.Nursery, network: Network, store: Kept, node: Place
) -> None:
    deaf = Place(network, store)  # not running: nothing arrives, nothing is read
    await Client("bob").connect(deaf)
    ann = Client()
    await ann.connect(node)
    node.write("1", "ann")
    ann.cut()
    began_at = trio.current_time()

    await ann.connect(deaf)

    assert not ann.recovered
    assert trio.current_time() - began_at == pytest.approx(REACH_S, abs=0.1)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda pid: pid[:-1] + ("A" if pid[-1] != "A" else "B"), id="signature"),
        pytest.param(lambda pid: "x" + pid, id="socket"),
        pytest.param(lambda pid: pid.replace("e-0", "e-1"), id="start"),
        pytest.param(lambda pid: pid.rpartition(".")[0], id="unsigned"),
        pytest.param(lambda _: "", id="empty"),
        pytest.param(lambda _: "é.é.é", id="foreign letters"),
        pytest.param(lambda _: "x" * 100_000, id="long"),
        pytest.param(lambda _: 17, id="number"),
        pytest.param(lambda _: {"$ne": None}, id="object"),
    ],
)
async def test_a_pid_that_is_not_ours_is_a_new_beginning(node: Place, spoil: Callable[[str], object]) -> None:
    ann = Client()
    await ann.connect(node)
    assert ann.pid is not None

    assert await node.recovery.recover(HOME, "ann", pid=ann.pid, offset=None, limit_bytes=1_000) is not None
    spoilt = spoil(ann.pid)
    assert await node.recovery.recover(HOME, "ann", pid=spoilt, offset=None, limit_bytes=1_000) is None


async def test_a_pid_is_good_for_its_own_user_alone(node: Place) -> None:
    ann = Client()
    await ann.connect(node)
    elsewhere = msgspec.structs.replace(HOME, signing_secret=b"other" * 8)

    for tenant, user_id in ((HOME, "bob"), (HOME, "an"), (elsewhere, "ann")):
        found = await node.recovery.recover(tenant, user_id, pid=ann.pid, offset=None, limit_bytes=1_000)
        assert found is None


@pytest.mark.parametrize("offset", ["", "e", "e-", "e-x", "e-1.5", "e-²", "-" * 50, 3, ["e-1"], True])
async def test_an_offset_that_makes_no_sense_is_a_new_beginning(node: Place, offset: object) -> None:
    ann = Client()
    await ann.connect(node)
    node.write("1", "ann")

    assert await node.recovery.recover(HOME, "ann", pid=ann.pid, offset=offset, limit_bytes=1_000) is None


async def test_what_is_swept_cannot_be_had_again(node: Place, store: Kept) -> None:
    ann = Client()
    await ann.connect(node)
    for text in "123":
        node.write(text, "ann")
    ann.cut(lost=2)

    store.floor = 1
    await ann.connect(node)
    assert ann.recovered

    ann.cut(lost=2)
    store.floor = 2
    await ann.connect(node)
    assert not ann.recovered


async def test_another_log_is_not_taken_for_the_same(node: Place, store: Kept) -> None:
    ann = Client()
    await ann.connect(node)
    for text in "123":
        node.write(text, "ann")
    ann.cut()

    store.epoch = "f"
    assert await node.recovery.recover(HOME, "ann", pid=ann.pid, offset="e-3", limit_bytes=1_000) is None
    store.epoch = "e"
    del store.logs[TENANT][2]  # an older state of the same database
    assert await node.recovery.recover(HOME, "ann", pid=ann.pid, offset="e-3", limit_bytes=1_000) is None


async def test_who_lost_the_room_he_had_open_begins_anew(node: Place, store: Kept) -> None:
    ann = Client()
    await ann.connect(node)
    ann.cut()
    store.lost_room = True

    await ann.connect(node)

    assert not ann.recovered


async def test_a_room_that_has_been_open_for_long_is_noted_anew(node: Place, store: Kept) -> None:
    ann = Client()
    await ann.connect(node)
    store.room_id = "room"
    for opened_at in (now_ms(), now_ms() - RENEW_MS):
        ann.cut()
        store.opened_at = opened_at
        await ann.connect(node)
        assert ann.recovered
    assert store.asked.count("open room") == 1

    ann.cut()
    store.is_in_room = False
    await ann.connect(node)
    assert not ann.recovered


@pytest.mark.parametrize("live", [0, 1])
async def test_too_much_is_not_sent(node: Place, store: Kept, live: int) -> None:
    async def come_back(*, missed: int, limit_bytes: int = 100_000) -> bool:
        ann = Client()
        await ann.connect(node)
        ann.cut()
        for _ in range(missed - live):
            node.write("x", "ann")

        def happen() -> None:
            for _ in range(live):
                node.write("x", "ann")

        store.on_read = happen
        await ann.connect(node, limit_bytes=limit_bytes)
        store.on_read = lambda: None
        return ann.recovered

    assert await come_back(missed=MOST)
    assert not await come_back(missed=MOST + 1)
    assert not await come_back(missed=5, limit_bytes=50)


async def test_a_store_that_is_away_is_no_reason_to_begin_anew(node: Place, store: Kept) -> None:
    ann = Client()
    await ann.connect(node)
    ann.cut()
    node.write("1", "ann")
    store.away = True
    with pytest.raises(Unavailable):
        await ann.connect(node)
    store.away = False

    await ann.connect(node)

    assert ann.recovered
    assert ann.hear() == [1]
    assert not node.fanout._taps


@pytest.mark.parametrize("seed", range(40))
async def test_whatever_happens_everybody_hears_the_log(
    nursery: trio.Nursery, network: Network, store: Kept, seed: int
) -> None:
    """Clients of three nodes whose bus loses messages, cut off with something on its way, and back anywhere."""
    choose = random.Random(seed)
    network.loses = lambda: choose.random() < 0.2
    network.copies = choose.choice((1, 2))
    nodes = [Place(network, store, most_events=1_000) for _ in range(3)]
    for place in nodes:
        await nursery.start(place.run)
    clients = [Client(user_id) for user_id in ("ann", "ann", "bob", "cid")]
    texts = count()

    def happen() -> None:
        told = [user_id for user_id in ("ann", "bob", "cid") if choose.random() < 0.5]
        choose.choice(nodes).write(str(next(texts)), *told, lost=choose.random() < 0.1)

    def perhaps() -> None:
        if choose.random() < 0.5:
            happen()

    store.on_read = perhaps
    for client in clients:
        await client.connect(choose.choice(nodes))
    for _ in range(150):
        client = choose.choice(clients)
        if choose.random() < 0.6:
            happen()
        elif not client.is_connected:
            await client.connect(choose.choice(nodes))
            assert client.recovered
        elif choose.random() < 0.7:
            waiting = len(client._session.outbox.queue) if client._session else 0
            client.cut(lost=choose.randint(0, waiting))
        if choose.random() < 0.2:
            await trio.sleep(choose.random() * 3)

    for client in clients:
        if not client.is_connected:
            await client.connect(choose.choice(nodes))
    await trio.sleep(10)
    for client in clients:
        assert client.hear() == [
            event.number
            for event in store.logs[TENANT]
            if event.number > client.began_at and client.user_id in event.user_ids
        ]
