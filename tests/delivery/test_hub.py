"""The hub against a model that is nothing but sets."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.hub import CROWD, Hub
from gateway.delivery.native import Native
from gateway.delivery.session import Session
from tests.delivery.conftest import session
from tests.support.compiled import BOTH

TENANTS = ("acme", "umbrella")
USERS = ("ann", "bob", "cyn")
ROOMS = ("r1", "r2")

numbers = st.integers(0, 20)
steps = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(TENANTS), st.sampled_from(USERS)),
    st.tuples(st.just("remove"), numbers),
    st.tuples(st.just("enter"), numbers, st.sampled_from(ROOMS)),
    st.tuples(st.just("leave"), numbers),
)


class Model:
    """Every session with its room, in the order of arrival."""

    def __init__(self) -> None:
        self.rooms: dict[Session, str | None] = {}

    def of_user(self, tenant_id: str, user_id: str) -> set[Session]:
        return {s for s in self.rooms if (s.tenant_id, s.user_id) == (tenant_id, user_id)}

    def in_room(self, room_id: str, user_id: str) -> set[Session]:
        return {s for s, room in self.rooms.items() if room == room_id and s.user_id == user_id}


@BOTH
@given(history=st.lists(steps, max_size=60))
def test_it_finds_what_is_there_in_any_history(history: list[tuple[Any, ...]], native: Native | None) -> None:
    hub, model = Hub(native=native), Model()
    for step in history:
        if step[0] == "add":
            first = not model.of_user(step[1], step[2])
            new = session(step[2], tenant_id=step[1])
            model.rooms[new] = None
            assert hub.add(new) is first
        elif step[1] < len(model.rooms):
            device = list(model.rooms)[step[1]]
            _step(hub, model, device, step)
        _check(hub, model)


def _step(hub: Hub, model: Model, device: Session, step: tuple[Any, ...]) -> None:
    room = model.rooms[device]
    alone = room is not None and model.in_room(room, device.user_id) == {device}
    if step[0] in ("leave", "remove") or room is not None:
        model.rooms[device] = None
        assert hub.leave(device) is alone
        assert device.room_id is None
    if step[0] == "enter":
        first = not model.in_room(step[2], device.user_id)
        model.rooms[device] = step[2]
        assert hub.enter(device, step[2]) is first
        assert device.room_id == step[2]
    elif step[0] == "remove":
        del model.rooms[device]
        assert hub.remove(device) is (not model.of_user(device.tenant_id, device.user_id))


def _check(hub: Hub, model: Model) -> None:
    assert set(hub.sessions()) == set(model.rooms)
    for tenant_id in TENANTS:
        expected = {user: model.of_user(tenant_id, user) for user in USERS}
        expected = {user: sessions for user, sessions in expected.items() if sessions}
        assert {user: set(mine) for user, mine in hub.users(tenant_id).items()} == expected
        found = hub.sessions_of(tenant_id, USERS, but="bob")
        assert hub.outboxes_of(tenant_id, USERS, but="bob") == [device.outbox for device in found]
        assert len(found) == len(set(found))
        assert set(found) == {s for user, mine in expected.items() if user != "bob" for s in mine}
    for room_id in ROOMS:
        present = {user: model.in_room(room_id, user) for user in USERS}
        present = {user: sessions for user, sessions in present.items() if sessions}
        assert {user: set(mine) for user, mine in hub.present(room_id).items()} == present
    assert hub.statistics() == {
        "sessions": len(model.rooms),
        "users": len({(s.tenant_id, s.user_id) for s in model.rooms}),
        "rooms_open": len({room for room in model.rooms.values() if room is not None}),
    }


def test_the_recipients_keep_their_order_and_each_his_devices() -> None:
    hub = Hub()
    devices = [session(user) for user in ("ann", "bob", "ann")]
    for device in devices:
        hub.add(device)
    assert hub.sessions_of("acme", ["bob", "nobody", "ann"]) == [devices[1], devices[0], devices[2]]
    assert hub.sessions_of("elsewhere", ["ann"]) == []
    assert hub.outboxes_of("elsewhere", ("ann",)) == []


@BOTH
def test_a_crowd_is_looked_up_once_until_somebody_comes_or_goes(native: Native | None) -> None:
    hub = Hub(native=native)
    users = tuple([f"user-{number}" for number in range(CROWD + 1)])
    devices = [session(user) for user in users]
    for device in devices[:-1]:
        hub.add(device)

    def told(tenant_id: str = "acme", but: str | None = None) -> list[Session]:
        outboxes = hub.outboxes_of(tenant_id, users, but=but)
        return [device for device in devices if device.outbox in outboxes]

    assert told() == devices[:-1]
    assert hub.outboxes_of("acme", users) is hub.outboxes_of("acme", users)
    hub.add(devices[-1])
    assert told() == devices
    hub.remove(devices[0])
    assert told() == devices[1:]
    assert told(but=users[1]) == devices[2:]
    assert told("umbrella") == []
    assert told() == devices[1:]
    assert hub.outboxes_of("acme", users[:2]) == [devices[1].outbox]
