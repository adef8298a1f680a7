"""Three nodes over a bus that loses, doubles, delays and reorders: each session gets what the log has from its start on."""

from __future__ import annotations

import math
import random

import pytest
import trio
from trio.testing import MockClock

from gateway.delivery.bus import Envelope
from gateway.delivery.bus_memory import Exchange
from gateway.delivery.following import CHECK_S, PATIENCE_S
from gateway.delivery.session import Session
from tests.delivery.conftest import TENANT
from tests.delivery.test_following import Node, Store, texts

SCHEDULES = 20
EVENTS = 60


class Visit:
    """A session, and the texts that it is to be told: those of the events for its user from now on."""

    def __init__(self, user_id: str, device: Session, since: int) -> None:
        self.user_id = user_id
        self.device = device
        self.since = since
        self.until: float = math.inf
        self.told: list[str] = []

    def leave(self, node: Node, head: int) -> None:
        self.told = texts(self.device)
        node.hub.remove(self.device)
        self.until = head

    def check(self, store: Store) -> None:
        expected = [
            f"{event.number}"
            for event in store.logs.get(TENANT, [])
            if event.number > self.since and self.user_id in event.user_ids
        ]
        if self.until == math.inf:
            assert self.told + texts(self.device) == expected
        else:
            assert self.told == expected[: len(self.told)]


class BadLuck:
    """What happens to each envelope on its way to a node."""

    def __init__(self, chance: random.Random, node: Node, nursery: trio.Nursery) -> None:
        self._chance = chance
        self._nursery = nursery
        self._take = node.fanout.order.take
        node.bus.subscribe(self.deliver, followed=node.fanout.order.suspect)

    def deliver(self, envelope: Envelope) -> None:
        for _ in range(self._chance.choice([0, 1, 1, 1, 1, 2])):
            delay_s = self._chance.choice([0, 0, 0, PATIENCE_S / 3, 3 * PATIENCE_S, 2 * CHECK_S])
            self._nursery.start_soon(self._later, delay_s, envelope)

    async def _later(self, delay_s: float, envelope: Envelope) -> None:
        await trio.sleep(delay_s)
        self._take(envelope)


@pytest.mark.parametrize("seed", range(SCHEDULES))
async def test_every_session_gets_every_event_once_and_in_order(
    seed: int, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    chance = random.Random(seed)
    store, exchange = Store(), Exchange()
    nodes = [Node(exchange, store) for _ in range(3)]
    for node in nodes:
        BadLuck(chance, node, nursery)
        await nursery.start(node.run)
    visits: list[tuple[Node, Visit]] = []
    while len(store.logs.get(TENANT, [])) < EVENTS:
        node = chance.choice(nodes)
        store.away = chance.random() < 0.05
        match chance.choice(["write", "write", "write", "write", "come", "go", "wait"]):
            case "write":
                users = chance.sample(["ann", "bob", "cyn"], chance.randint(0, 3))
                number = len(store.logs.get(TENANT, [])) + 1
                node.write(f"{number}", *users, lost=chance.random() < 0.1)
            case "come":
                user_id = chance.choice(["ann", "bob", "cyn"])
                store.away = False
                device = await node.connect(user_id)
                position = node.fanout.position(TENANT)
                assert position is not None
                visits.append((node, Visit(user_id, device, position)))
            case "go" if visits:
                at, visit = chance.choice(visits)
                if visit.until == math.inf:
                    visit.leave(at, len(store.logs.get(TENANT, [])))
            case _:
                await trio.sleep(chance.choice([0, PATIENCE_S / 2, PATIENCE_S, CHECK_S]))
    store.away = False
    await trio.sleep(6 * CHECK_S)
    for _, visit in visits:
        visit.check(store)
