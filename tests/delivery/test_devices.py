"""The devices of a user that did not act are told by whichever nodes they are on, once, and the one that acted is not."""

from __future__ import annotations

import msgspec
import pytest

from gateway.delivery.bus import Hear
from gateway.delivery.devices import OtherDevices
from gateway.delivery.hub import Hub
from gateway.delivery.session import Session
from tests.delivery.conftest import TENANT, session, told

PAYLOAD = b'{"callId":"c"}'
ENDED = [("call-ended", {"callId": "c"})]


class Party:
    """Nodes that hear each other at once."""

    def __init__(self, nodes: int) -> None:
        self.hears: list[Hear] = []
        self.said = 0
        self.nodes = [self._node(number) for number in range(nodes)]

    def _node(self, number: int) -> tuple[Hub, OtherDevices]:
        hub = Hub()
        return hub, OtherDevices(hub=hub, nodes=_Ear(self, number))

    def connect(self, node: int, user_id: str, jti: str) -> Session:
        device = session(user_id)
        device.jti = jti
        self.nodes[node][0].add(device)
        return device

    def tell(self, node: int, user_id: str, jti: str) -> None:
        self.nodes[node][1].tell(TENANT, user_id, jti, "call-ended", PAYLOAD)


class _Ear:
    def __init__(self, party: Party, number: int) -> None:
        self._party = party
        self._number = number

    def say(self, topic: str, body: bytes) -> None:
        self._party.said += 1
        for number, hear in enumerate(self._party.hears):
            if number != self._number:
                hear(str(self._number), body)

    def listen(self, topic: str, hear: Hear) -> None:
        self._party.hears.append(hear)


def test_the_others_are_told_and_the_one_that_acted_is_not() -> None:
    party = Party(1)
    phone, tablet, laptop = [party.connect(0, "bob", jti) for jti in ("phone", "tablet", "laptop")]
    stranger = party.connect(0, "ann", "tablet")
    party.tell(0, "bob", "phone")
    assert (told(phone), told(stranger)) == ([], [])
    assert (told(tablet), told(laptop)) == (ENDED, ENDED)


def test_nobody_is_told_while_the_one_that_acted_is_nowhere_connected() -> None:
    party = Party(2)
    tablet = party.connect(1, "bob", "tablet")
    party.tell(0, "bob", "phone")
    assert told(tablet) == []


# Where the request comes in, where the acting device is connected, and where the other one is.
@pytest.mark.parametrize("acts_at", range(3))
@pytest.mark.parametrize("phone_at", range(3))
@pytest.mark.parametrize("tablet_at", range(3))
def test_it_does_not_matter_which_nodes_they_are_on(acts_at: int, phone_at: int, tablet_at: int) -> None:
    party = Party(3)
    phone, tablet = party.connect(phone_at, "bob", "phone"), party.connect(tablet_at, "bob", "tablet")
    party.tell(acts_at, "bob", "phone")
    assert told(phone) == []
    assert told(tablet) == ENDED
    assert party.said <= 2


def test_a_device_with_two_connections_is_one() -> None:
    party = Party(2)
    one, other = party.connect(0, "bob", "phone"), party.connect(1, "bob", "phone")
    tablet = party.connect(1, "bob", "tablet")
    party.tell(0, "bob", "phone")
    assert (told(one), told(other)) == ([], [])
    assert told(tablet) == ENDED


def test_another_tenant_s_user_of_the_same_name_is_not_told() -> None:
    party = Party(1)
    party.connect(0, "bob", "phone")
    foreign = session("bob", tenant_id="other")
    foreign.jti = "tablet"
    party.nodes[0][0].add(foreign)
    party.tell(0, "bob", "phone")
    assert told(foreign) == []


def test_what_nodes_say_is_small() -> None:
    bodies: list[bytes] = []
    party = Party(1)
    party.hears.append(lambda _, body: bodies.append(body))
    party.tell(0, "bob", "phone")
    (body,) = bodies
    assert len(body) < 100 + len(PAYLOAD)
    assert msgspec.msgpack.decode(body)[-1] is False
