"""The same port over TLS: REST, pages, polling, WebSocket, HTTP/2."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import pytest

from tests.e2e.conftest import end
from tests.support.devices import POLLING, UPGRADE, WEBSOCKET, Clients, Transports
from tests.support.engine import Peer
from tests.support.inbox import PATIENCE_S
from tests.support.raw import Connection, WebSocket
from tests.support.secured import Secured


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    secured = Secured(tmp_path_factory.mktemp("tls"))
    yield secured
    secured.platform.close()
    end(secured.gateway)


def test_the_address_it_prints_is_https(secured: Secured) -> None:
    assert secured.gateway.url.startswith("https://")


@pytest.mark.parametrize(
    "transports",
    [
        pytest.param(WEBSOCKET, id="websocket"),
        pytest.param(POLLING, id="polling"),
        pytest.param(UPGRADE, id="upgrade"),
    ],
)
def test_people_chat_over_every_transport(secured: Secured, clients: Clients, transports: Transports) -> None:
    ann, bob = secured.platform.person("ann"), secured.platform.person("bob")
    room = secured.platform.room(ann, bob)
    devices = [
        clients.connect(secured.gateway.url, auth=person.auth, transports=transports, ca=secured.ca)
        for person in (ann, bob)
    ]

    sent = [ann.send(room.id, str(number) * 5_000) for number in range(10)]

    for device in devices:
        for message in sent:
            device.inbox.take("new-message", id=message.id)
        device.close()


def test_pages_and_the_api_share_a_kept_alive_connection(secured: Secured) -> None:
    connection = secured.connect()

    statuses = [
        connection.ask("GET", path).status
        for path in ("/healthz", "/v1/none", "/docs", "/v1/none", "/", "/openapi.json")
    ]
    socket = WebSocket(connection, "/socket.io/?EIO=4&transport=websocket")
    handshake = socket.receive()
    connection.close()

    assert statuses == [200, 404, 200, 404, 200, 200]
    assert isinstance(handshake, str)
    assert handshake.startswith('0{"sid":')


def test_http_2_is_negotiated_and_serves_pages_and_the_api_alike(secured: Secured) -> None:
    ann = secured.platform.person("ann")
    room = secured.platform.room(ann)
    with httpx2.Client(
        base_url=secured.gateway.url,
        http2=True,
        verify=secured.trust(),
        trust_env=False,
        timeout=PATIENCE_S,
    ) as client:
        bearer = {"Authorization": f"Bearer {ann.token}"}
        sent = client.post(
            f"/v1/chat/rooms/{room.id}/messages",
            headers=bearer,
            json={"parts": [{"type": "text", "text": "over two"}]},
        )
        answers = [
            client.get(path, headers=bearer) for path in ("/", "/v1/chat/rooms", "/healthz", "/v1/none")
        ]

    assert (sent.status_code, sent.http_version) == (201, "HTTP/2")
    assert [(answer.status_code, answer.http_version) for answer in answers] == [
        (200, "HTTP/2"),
        (200, "HTTP/2"),
        (200, "HTTP/2"),
        (404, "HTTP/2"),
    ]


def test_a_large_message_and_a_burst_survive_the_records_of_tls(secured: Secured) -> None:
    ann = secured.platform.person("ann")
    room = secured.platform.room(ann)
    socket = WebSocket(secured.connect(), "/socket.io/?EIO=4&transport=websocket")
    socket.receive()
    socket.send(f"40{json.dumps(ann.auth)}")
    large = "x" * 400_000

    sent = [ann.send(room.id, large), *(ann.send(room.id, str(number)) for number in range(50))]

    received: list[str] = []
    while len(received) < len(sent):
        packet = socket.receive()
        assert isinstance(packet, str)
        if packet.startswith('42["new-message",'):
            received.append(json.loads(packet[2:])[1]["id"])
    socket.close()
    assert received == [message.id for message in sent]


def test_a_client_without_tls_is_turned_away_and_hurts_nobody(secured: Secured) -> None:
    plain = Connection(secured.gateway.url)
    plain.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200" not in plain.rest()[:20]
    plain.close()

    silent = Connection(secured.gateway.url)  # connected, and says nothing: no handshake
    assert secured.platform.rest.get("/chat/rooms").status_code == 200
    silent.close()


def test_an_engine_io_session_over_tls_is_polled_and_upgraded_by_hand(secured: Secured) -> None:
    target = Peer(url=secured.gateway.url, path="/socket.io/").target
    polls = secured.connect()
    sid = json.loads(polls.ask("GET", target()).text[1:])["sid"]

    socket = WebSocket(secured.connect(), target("websocket", sid))
    socket.send("2probe")
    assert socket.receive() == "3probe"
    assert polls.ask("GET", target(sid=sid)).text == "6"
    socket.send("5")
    socket.send('40{"token":"nonsense"}')

    answer = socket.receive()
    assert isinstance(answer, str)
    assert answer.startswith("44{")
    assert polls.ask("GET", target(sid=sid)).status == 400
    socket.close()
    polls.close()


def test_a_file_goes_there_and_back_over_http_2(secured: Secured) -> None:
    ann = secured.platform.person("ann")
    data = bytes(range(256)) * 12_000
    body = {"filename": "a.mp4", "mediaType": "video/mp4", "sizeBytes": len(data)}
    announced = ann.rest.post("/chat/uploads/presign", body).json()
    path = f"/chat/uploads/{announced['uploadId']}"
    with httpx2.Client(http2=True, verify=secured.trust(), trust_env=False, timeout=PATIENCE_S) as client:
        short = client.put(announced["uploadUrl"], content=data[:-1])
        sent = client.put(announced["uploadUrl"], content=data)
        assert ann.rest.post(f"{path}/complete", {}).is_success
        url = ann.rest.get(f"{path}/access").json()["accessUrl"]
        read, part = client.get(url), client.get(url, headers={"range": "bytes=5-9"})
    assert {answer.http_version for answer in (short, sent, read, part)} == {"HTTP/2"}
    assert [short.status_code, sent.status_code, read.status_code, part.status_code] == [400, 200, 200, 206]
    assert url.startswith("https://")
    assert read.content == data
    assert part.content == data[5:10]
