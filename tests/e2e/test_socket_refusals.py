"""Who is not let in, and what is refused of those who are."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.e2e.conftest import Opener, end
from tests.support.devices import POLLING, WEBSOCKET, Clients, Refused, Transports
from tests.support.engine import Peer, ends, next_packet
from tests.support.platform import Person, Platform
from tests.support.process import Gateway
from tests.support.raw import BINARY, Closed


def peer(person: Person) -> Peer:
    return Peer(url=person.url, path="/socket.io/", connect=f"40{json.dumps(person.auth)}")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """With frequent pings: python-socketio, when it is refused, now and then forgets to close, and waits for the next."""
    gateway = Gateway(
        tmp_path_factory.mktemp("refusing") / "data",
        settings={"socket": {"ping_interval_ms": 2_000, "ping_timeout_ms": 20_000}},
    )
    gateway.create_tenant()
    gateway.start()
    yield gateway
    end(gateway)


@pytest.fixture(scope="module")
def platform(gateway: Gateway) -> Iterator[Platform]:
    platform = Platform(gateway.url, gateway.create_tenant().api_key)
    yield platform
    platform.close()


def altered(token: str) -> str:
    """The same token with another signature."""
    head, body, signature = token.split(".")
    return ".".join([head, body, signature[::-1]])


@pytest.mark.parametrize("transports", [WEBSOCKET, POLLING], ids=["websocket", "polling"])
@pytest.mark.parametrize(
    "bad",
    ["missing", "no payload", "not a string", "empty", "nonsense", "altered", "unsigned", "api key"],
)
def test_a_bad_credential_is_answered_with_connect_error(
    platform: Platform, clients: Clients, transports: Transports, bad: str
) -> None:
    person = platform.person("ann")
    unsigned = "eyJhbGciOiJub25lIn0." + person.token.split(".")[1] + "."
    auth = {
        "missing": {},
        "no payload": None,
        "not a string": {"token": 7},
        "empty": {"token": ""},
        "nonsense": {"token": "nonsense"},
        "altered": {"token": altered(person.token)},
        "unsigned": {"token": unsigned},
        "api key": {"token": platform.api_key},
    }[bad]

    with pytest.raises(Refused) as refused:
        clients.connect(platform.url, auth=auth, transports=transports)

    assert refused.value.message.startswith("Unauthorized"), refused.value.data


def test_an_expired_token_is_answered_with_connect_error(platform: Platform, clients: Clients) -> None:
    person = platform.person("ann", expires_in_s=1)
    wait_for_expiry = Clock(platform, person, expires_in_s=1)
    wait_for_expiry.pass_by()

    with pytest.raises(Refused) as refused:
        clients.connect(platform.url, auth=wait_for_expiry.auth)

    assert refused.value.message.startswith("Unauthorized")
    assert "expired" in refused.value.message


class Clock:
    """A short-lived token, and knowing when the server holds it for expired: REST says so."""

    def __init__(self, platform: Platform, person: Person, *, expires_in_s: int) -> None:
        minted = platform.mint(person.id, expires_in_s)
        self.auth = {"token": minted["token"]}
        self.expires_at = datetime.fromisoformat(minted["expiresAt"]).timestamp()
        self._rest = person.rest.http

    def pass_by(self) -> None:
        deadline = time.monotonic() + 10
        headers = {"Authorization": f"Bearer {self.auth['token']}"}
        while self._rest.get("/chat/rooms", headers=headers).status_code != 401:
            assert time.monotonic() < deadline, "the token does not expire"


def test_the_same_token_of_another_tenant_is_not_let_in(
    platform: Platform, lone_platform: Platform, clients: Clients
) -> None:
    """A token that names one tenant but carries another's signature."""
    ours, theirs = platform.person("ann"), lone_platform.person("ann")
    head, _, _ = ours.token.split(".")
    _, body, signature = theirs.token.split(".")

    with pytest.raises(Refused):
        clients.connect(platform.url, auth={"token": ".".join([head, body, signature])})


def test_a_session_ends_within_a_second_of_its_token(platform: Platform, clients: Clients) -> None:
    """D11: first the reason, then DISCONNECT, which stops the published client for good."""
    person = platform.person("ann")
    clock = Clock(platform, person, expires_in_s=2)
    device = clients.connect(platform.url, auth=clock.auth)

    assert device.inbox.take("error") == {"message": "Session expired"}
    reason = device.inbox.take("@disconnected")["reason"]
    ended = time.time()
    device.close()

    assert reason in {"io server disconnect", "server disconnect"}
    assert clock.expires_at <= ended <= clock.expires_at + 1.0


def test_expiry_is_told_by_a_disconnect_packet(platform: Platform) -> None:
    person = platform.person("ann")
    clock = Clock(platform, person, expires_in_s=1)
    socket = Peer(
        url=platform.url, path="/socket.io/", connect=f"40{json.dumps(clock.auth)}"
    ).connected_websocket()

    packets = [next_packet(socket)]
    while packets[-1] != "41":
        packets.append(next_packet(socket))
    socket.close()

    assert packets[-2:] == ['42["error",{"message":"Session expired"}]', "41"]


def test_only_the_main_namespace_exists(platform: Platform, clients: Clients) -> None:
    person = platform.person("ann")

    with pytest.raises(Refused) as refused:
        clients.connect(platform.url, auth=person.auth, namespace="/admin")

    assert refused.value.message == "Invalid namespace"


def test_a_refused_namespace_leaves_the_main_one_alone(platform: Platform) -> None:
    person = platform.person("ann")
    room = platform.room(person)
    socket = peer(person).connected_websocket()

    socket.send("40/admin,")
    while (answer := next_packet(socket)).startswith("42"):
        pass
    assert answer == '44/admin,{"message":"Invalid namespace"}'

    sent = person.send(room.id, "still here")
    while not (answer := next_packet(socket)).startswith('42["new-message"'):
        pass
    socket.close()
    assert sent.id in answer


def test_a_connect_error_over_a_raw_socket_has_a_message_and_the_packets_own_form(platform: Platform) -> None:
    socket, _ = Peer(url=platform.url, path="/socket.io/").open_websocket()

    socket.send('40{"token":"nonsense"}')
    answer = next_packet(socket)
    socket.close()

    assert answer.startswith("44{")
    assert json.loads(answer[2:])["message"].startswith("Unauthorized")


def test_nothing_is_sent_before_the_connect_answer(platform: Platform) -> None:
    person = platform.person("ann")
    socket, _ = peer(person).open_websocket()

    socket.send(f"40{json.dumps(person.auth)}")
    first, second = next_packet(socket), next_packet(socket)
    socket.close()

    assert first.startswith('40{"sid":"')
    assert second.startswith('42["tenant-presence-snapshot",')


@pytest.mark.parametrize("ack", ["", "7"], ids=["plain", "with an ack"])
def test_a_binary_event_is_refused_cleanly(platform: Platform, ack: str) -> None:
    """Policy: the gateway's events are JSON. The client is told, or its connection is closed; nobody else notices."""
    person = platform.person("ann")
    room = platform.room(person)
    socket = peer(person).connected_websocket()
    next_packet(socket)  # the presence snapshot

    socket.send(f'451-{ack}["typing",{{"_placeholder":true,"num":0}}]')
    socket.send_frame(BINARY, b"\1\2\3")

    try:
        answer = next_packet(socket)
        while not answer.startswith('42["error"'):
            answer = next_packet(socket)
    except Closed:
        pass
    else:
        assert json.loads(answer[2:])[1]["message"]
    socket.close()
    again = peer(person).connected_websocket()
    sent = person.send(room.id, "still served")
    while sent.id not in next_packet(again):
        pass
    again.close()


def test_an_event_of_an_unknown_name_does_no_harm(platform: Platform, device: Opener) -> None:
    ann = platform.person("ann")
    room = platform.room(ann)
    of_ann = device(ann)

    of_ann.emit("no-such-event", {"a": 1}, "b", None)
    of_ann.emit("new-message", {"id": "forged", "roomId": room.id})
    sent = ann.send(room.id, "hello")

    of_ann.inbox.take("new-message", id=sent.id)
    assert len(of_ann.inbox.seen("new-message")) == 1


@pytest.mark.parametrize("name", ["connect", "connect_error", "disconnect", "disconnecting"])
def test_a_reserved_event_name_closes_the_connection(platform: Platform, name: str) -> None:
    socket = peer(platform.person("ann")).connected_websocket()

    socket.send(f'42["{name}",{{}}]')

    ends(socket)
    socket.close()
