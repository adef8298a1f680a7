"""The gateway on a PostgreSQL: an operator's first steps, people who talk, and the database going away and coming back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.e2e.conftest import Opener, end
from tests.support.devices import POLLING, WEBSOCKET, Transports
from tests.support.platform import Platform, refusal
from tests.support.postgresql import Server
from tests.support.process import Gateway
from tests.test_cli import Operator


@pytest.fixture(scope="module")
def url(postgresql: Server) -> Iterator[str]:
    with postgresql.bare_database() as url:
        yield url


@pytest.fixture(scope="module")
def served(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    gateway = Gateway(tmp_path_factory.mktemp("postgresql") / "data", settings={"database_url": url})
    process = gateway.start()
    platform = Platform(gateway.url, process.wait_for_line(r"API key\s+(\S+)")[1])
    yield platform
    platform.close()
    end(gateway)


def test_an_operators_commands_work_on_the_server(postgresql: Server, tmp_path: Path) -> None:
    operator = Operator(tmp_path / "data")
    with postgresql.bare_database() as url:
        environ = {"GATEWAY_DATABASE_URL": url.replace("postgres@", "postgres:sesame@")}

        migrated = operator.run("migrate", **environ)
        again = operator.run("migrate", **environ)
        created = operator.run("tenant", "create", "Acme", "--json", **environ)
        listed = operator.run("tenant", "list", **environ)

    assert migrated.stdout.startswith("database_url: applied 0001, ")
    assert again.stdout == "database_url: up to date\n"
    assert '"apiKey"' in created.stdout
    assert "Acme" in listed.stdout
    for done in (migrated, again, created, listed):
        assert done.returncode == 0
        assert "sesame" not in done.stdout + done.stderr
    assert not (tmp_path / "data" / "gateway.db").exists()


def test_a_server_that_is_not_there_is_one_line_without_the_password(tmp_path: Path) -> None:
    nowhere = f"postgresql://ann:sesame@/chat?host={tmp_path}"

    line = Operator(tmp_path / "data").refusal("serve", GATEWAY_DATABASE_URL=nowhere, GATEWAY_PORT="0")

    assert line.startswith("database_url: ")
    assert "sesame" not in line


@pytest.mark.parametrize(
    "transports", [pytest.param(WEBSOCKET, id="websocket"), pytest.param(POLLING, id="polling")]
)
def test_people_talk_and_every_device_hears_all_of_it_in_order(
    served: Platform, any_device: Opener, transports: Transports
) -> None:
    ann, bob = served.person("ann"), served.person("bob")
    room = served.room(ann, bob)
    devices = [any_device(person, transports) for person in (ann, bob)]
    devices[1].emit("join-room", {"roomId": room.id, "userId": bob.id})
    devices[1].inbox.take("joined-room", roomId=room.id)

    threads = [
        threading.Thread(target=lambda person=person: [person.send(room.id, str(n)) for n in range(20)])
        for person in (ann, bob)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = ann.send(room.id, "the last")

    history = [message.id for message in bob.history(room.id)]
    assert len(history) == 41
    for device in devices:
        device.inbox.take("new-message", id=last.id)
        assert [payload["id"] for payload in device.inbox.seen("new-message", roomId=room.id)] == history
    assert bob.read_up_to(room.id)["unreadCount"] == 0


def test_without_its_database_the_gateway_says_so_at_once_and_goes_on_when_it_is_back(
    served: Platform, device: Opener, postgresql: Server
) -> None:
    ann, bob = served.person("ann"), served.person("bob")
    room = served.room(ann, bob)
    there = device(bob)
    body = {
        "senderId": ann.id,
        "parts": [{"type": "text", "text": "while it is away"}],
        "clientMessageId": "1",
    }
    postgresql.stop()
    try:
        for _ in range(3):
            refused = ann.rest.post(f"/chat/rooms/{room.id}/messages", body)
            assert refusal(refused, 503)
            assert int(refused.headers["retry-after"]) >= 1
            assert refused.elapsed.total_seconds() < 2
        refusal(ann.rest.get("/chat/rooms"), 503)
        assert httpx2.get(f"{served.url}/readyz", trust_env=False).status_code == 503
    finally:
        postgresql.start()

    sent = ann.send(room.id, "while it is away", clientMessageId="1")

    there.inbox.take("new-message", id=sent.id)
    assert [message.id for message in bob.history(room.id)] == [sent.id]
    assert httpx2.get(f"{served.url}/readyz", trust_env=False).status_code == 200
