"""Clients that come back (D12): the published client as it is, cut off, and the same socket with what it has missed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cable import Cable
from tests.support.contract import DURABLE
from tests.support.devices import POLLING, WEBSOCKET, Transports
from tests.support.engine import Peer, ends, next_packet
from tests.support.node import NodeClients, NodeDevice
from tests.support.platform import Person, Platform
from tests.support.process import Gateway
from tests.support.raw import Connection, WebSocket

TRANSPORTS = [pytest.param(WEBSOCKET, id="websocket"), pytest.param(POLLING, id="polling")]


@pytest.fixture
def cable(gateway: Gateway) -> Iterator[Cable]:
    cable = Cable(gateway.url)
    yield cable
    cable.close()


class Stay:
    """One person's device behind a cable, and another of his that is never cut off, to compare with."""

    def __init__(
        self, clients: NodeClients, cable: Cable, person: Person, transports: Transports = WEBSOCKET
    ) -> None:
        self.cable = cable
        self.witness = clients.connect(person.url, auth=person.auth)
        self.device = clients.connect(cable.url, auth=person.auth, transports=transports, reconnection=True)
        self.sid = self.connected()["sid"]

    def connected(self) -> dict[str, Any]:
        report: dict[str, Any] = self.device.inbox.take("@connected")
        return report

    def cut(self) -> None:
        self.cable.cut()
        self.device.inbox.take("@disconnected")

    def back(self) -> dict[str, Any]:
        self.cable.mend()
        return self.connected()

    def require_same_story(self, person: Person, room_id: str) -> None:
        """Let both hear of one more message, and see that they have been told the same, in the same order."""
        last = person.send(room_id, "the last")
        for device in (self.device, self.witness):
            device.inbox.take("new-message", id=last.id)
        assert story(self.device) == story(self.witness)

    def close(self) -> None:
        self.device.close()
        self.witness.close()


def story(device: NodeDevice) -> list[tuple[str, Any]]:
    return device.inbox.story(*DURABLE)


def stir(choose: random.Random, platform: Platform, people: list[Person], rooms: list[str]) -> None:
    """Something happens that people are told of; the first of them stays in all rooms."""
    room_id, person = choose.choice(rooms), people[0]
    happening = choose.randrange(6)
    if happening == 0:
        message = person.send(room_id, "before")
        parts = [{"type": "text", "text": "after"}]
        assert person.rest.request(
            "PATCH", f"/chat/rooms/{room_id}/messages/{message.id}", {"parts": parts}
        ).is_success
    elif happening == 1:
        person.send(room_id, "read me")
        person.read_up_to(room_id)
    elif happening == 2:
        other = choose.choice(people[1:])
        path = f"/chat/rooms/{room_id}/participants"
        assert platform.rest.post(path, {"userId": other.id}).is_success
        assert platform.rest.request("DELETE", f"{path}/{other.id}").is_success
    else:
        person.send(room_id, "hello")


@pytest.mark.parametrize("transports", TRANSPORTS)
def test_a_client_that_was_cut_off_is_the_same_socket_and_has_missed_nothing(
    node_clients: NodeClients, cable: Cable, platform: Platform, transports: Transports
) -> None:
    people = [platform.person(name) for name in ("ann", "bob", "cid")]
    rooms = [platform.room(people[0], name="Team").id for _ in range(4)]
    choose = random.Random(1)
    stay = Stay(node_clients, cable, people[0], transports)
    stir(choose, platform, people, rooms)

    for count in (100, 0, 3):
        stay.cut()
        while len(story(stay.witness)) < len(story(stay.device)) + count:
            stir(choose, platform, people, rooms)
        back = stay.back()

        assert (back["recovered"], back["sid"]) == (True, stay.sid)
        stir(choose, platform, people, rooms)
        stay.require_same_story(people[0], rooms[0])
    stay.close()


def test_the_room_it_had_open_is_open_again(
    node_clients: NodeClients, cable: Cable, platform: Platform
) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob)
    other = node_clients.connect(bob.url, auth=bob.auth)
    other.emit("join-room", {"roomId": room.id, "userId": bob.id})
    stay = Stay(node_clients, cable, ann)
    stay.device.emit("join-room", {"roomId": room.id, "userId": ann.id})
    stay.device.inbox.take("joined-room", roomId=room.id)
    stay.device.inbox.take("presence-snapshot")
    other.inbox.take("presence", userId=ann.id, online=True)

    stay.cut()
    assert stay.back()["recovered"]

    snapshot = stay.device.inbox.take("presence-snapshot")
    assert set(snapshot["onlineUserIds"]) == {ann.id, bob.id}
    stay.device.emit("leave-room", {"roomId": room.id, "userId": ann.id})
    stay.device.inbox.take("left-room", roomId=room.id)
    other.inbox.take("presence", userId=ann.id, online=False)
    assert len(other.inbox.seen("presence", userId=ann.id)) == 2, "it was seen to go and come"
    assert len(stay.device.inbox.seen("joined-room")) == 1
    stay.close()
    other.close()


def test_who_was_removed_meanwhile_is_told_so_and_nothing_after(
    node_clients: NodeClients, cable: Cable, platform: Platform
) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room, rest = platform.room(ann, bob, name="Team"), platform.room(ann, bob)
    stay = Stay(node_clients, cable, bob)

    stay.cut()
    assert platform.rest.request("DELETE", f"/chat/rooms/{room.id}/participants/{bob.id}").is_success
    ann.send(room.id, "not for bob")
    assert stay.back()["recovered"]

    stay.require_same_story(ann, rest.id)
    assert [event for event, _ in story(stay.device)] == ["room-participants-changed", "new-message"]
    stay.close()


def test_who_loses_the_room_that_he_had_open_begins_anew(
    node_clients: NodeClients, cable: Cable, platform: Platform
) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob, name="Team")
    stay = Stay(node_clients, cable, bob)
    stay.device.emit("join-room", {"roomId": room.id, "userId": bob.id})
    stay.device.inbox.take("joined-room")

    stay.cut()
    assert platform.rest.request("DELETE", f"/chat/rooms/{room.id}/participants/{bob.id}").is_success
    back = stay.back()

    assert not back["recovered"]
    assert back["sid"] != stay.sid
    assert story(stay.device) == []
    stay.close()


def test_a_connection_that_is_only_forgotten_gives_way_to_its_client(platform: Platform) -> None:
    """The network has lost it without a word: for the server it still lives when its client is back on another."""
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob)
    first, answer = connect(ann)
    told = ann.send(room.id, "told")
    offset = wait_for(first, told.id)
    missed = ann.send(room.id, "missed")

    second, again = connect(ann, pid=answer["pid"], offset=offset)

    assert again == answer
    assert f'"id":"{missed.id}"' in next_packet(second)
    wait_for(first, missed.id)
    ends(first)
    after = ann.send(room.id, "after")
    wait_for(second, after.id)
    second.close()


def test_a_pid_takes_nobody_elses_place(platform: Platform) -> None:
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob)
    first, answer = connect(ann)

    second, taken = connect(bob, pid=answer["pid"])

    assert taken["sid"] != answer["sid"]
    assert taken["pid"] != answer["pid"]
    said = ann.send(room.id, "both are here")
    for socket in (first, second):
        wait_for(socket, said.id)
        socket.close()


AGENTS = [
    "Dart/3.5 (dart:io)",
    "Mozilla/5.0 (X11; Linux x86_64)",
    "Python/3.11 aiohttp/3.14",
    "python-requests/2.34",
]


@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize("agent", AGENTS)
def test_clients_that_a_second_argument_would_confuse_get_offsets_apart_and_come_back(
    platform: Platform, transport: str, agent: str
) -> None:
    """Dart's listeners would get one list of both, and the published SDK throws; Flutter for the web is a browser."""
    ann = platform.person("ann")
    room = platform.room(ann)
    client = Client(ann.url, transport, agent)
    answer = client.connect(ann.auth)
    first = ann.send(room.id, "heard")
    message, offset = client.until_offset()
    client.close()
    missed = ann.send(room.id, "missed")

    again = Client(ann.url, transport, agent)
    back = again.connect({**ann.auth, "pid": answer["pid"], "offset": offset})
    replayed, _ = again.until_offset()
    again.close()

    assert message[0] == replayed[0] == "new-message"
    assert [one[1]["id"] for one in (message, replayed)] == [first.id, missed.id]
    assert len(message) == len(replayed) == 2
    assert (back["sid"], back["pid"]) == (answer["sid"], answer["pid"])


class Client:
    """A bare client that says what it is."""

    def __init__(self, url: str, transport: str, agent: str) -> None:
        self._headers = {"User-Agent": agent}
        self._connection = Connection(url)
        self._target = f"/socket.io/?EIO=4&transport={transport}"
        self._socket: WebSocket | None = None
        self._packets: list[str] = []
        if transport == "websocket":
            self._socket = WebSocket(self._connection, self._target, headers=self._headers)
            self._next()
        else:
            opened = self._connection.ask("GET", self._target, headers=self._headers).text
            self._target += f"&sid={json.loads(opened[1:])['sid']}"

    def connect(self, auth: dict[str, Any]) -> dict[str, Any]:
        packet = f"40{json.dumps(auth)}"
        if self._socket is not None:
            self._socket.send(packet)
        else:
            self._connection.ask("POST", self._target, headers=self._headers, body=packet.encode())
        answer: dict[str, Any] = json.loads(self._next()[2:])
        return answer

    def until_offset(self) -> tuple[list[Any], str]:
        """The next durable event, and the offset right behind it."""
        before: list[Any] = []
        while True:
            event = json.loads(self._next()[2:])
            if event[0] == "offset":
                assert len(event) == 2
                return before, event[1]
            before = event

    def _next(self) -> str:
        if self._socket is not None:
            return next_packet(self._socket)
        while not self._packets:
            self._packets = self._connection.ask("GET", self._target, headers=self._headers).text.split(
                "\x1e"
            )
        return self._packets.pop(0)

    def close(self) -> None:
        self._connection.close()


def connect(person: Person, **shown: Any) -> tuple[WebSocket, dict[str, Any]]:
    """A bare socket, and the answer to its CONNECT."""
    socket, _ = Peer(url=person.url, path="/socket.io/").open_websocket()
    socket.send(f"40{json.dumps({**person.auth, **shown})}")
    answer = next_packet(socket)
    assert answer.startswith("40"), answer
    return socket, json.loads(answer[2:])


def wait_for(socket: WebSocket, message_id: str) -> str:
    """The offset of this message."""
    while f'"id":"{message_id}"' not in (packet := next_packet(socket)):
        pass
    offset: str = json.loads(packet[2:])[-1]
    return offset


@pytest.mark.parametrize("transports", TRANSPORTS)
def test_it_comes_back_to_a_process_that_has_just_begun(
    node_clients: NodeClients, tmp_path: Path, transports: Transports
) -> None:
    gateway = Gateway(tmp_path / "data")
    keys = gateway.create_tenant()
    gateway.start()
    platform = Platform(gateway.url, keys.api_key)
    cable = Cable(gateway.url)
    try:
        ann, bob = platform.person("ann"), platform.person("bob")
        room = platform.room(ann, bob)
        device = node_clients.connect(cable.url, auth=bob.auth, transports=transports, reconnection=True)
        sid = device.inbox.take("@connected")["sid"]
        device.emit("join-room", {"roomId": room.id, "userId": bob.id})
        device.inbox.take("joined-room")
        first = ann.send(room.id, "told")
        device.inbox.take("new-message", id=first.id)

        cable.cut()
        missed = [ann.send(room.id, f"missed {number}") for number in range(20)]
        gateway.kill()
        gateway.start()
        cable.mend()

        back = device.inbox.take("@connected")
        assert (back["recovered"], back["sid"]) == (True, sid)
        after = ann.send(room.id, "after")
        device.inbox.take("new-message", id=after.id)
        told = [message["id"] for message in device.inbox.seen("new-message")]
        assert told == [message.id for message in (first, *missed, after)]
        assert device.inbox.take("presence-snapshot")["onlineUserIds"] == [bob.id]
        device.close()
    finally:
        cable.close()
        platform.close()
        gateway.kill()
