"""A store that stands still, is locked or full: writes are refused in bounded time, the rest goes on, all of it heals."""

from __future__ import annotations

import json
import math
import resource
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gateway.store.postgresql.writer import GROUP
from tests.e2e.conftest import Opener, end
from tests.support.node import NodeClients
from tests.support.platform import Person, Platform, refusal
from tests.support.postgresql import Server
from tests.support.process import Gateway
from tests.support.raw import Connection
from tests.support.stopwatch import Stopwatch

GRACE_S = 0.5
ANSWER_S = 9.0  # a bit more than the gateway waits for a PostgreSQL that says nothing
LOCKED_S = 7.0  # likewise, for another process's lock
MEANWHILE_S = 6.0  # less than it waits for either
WAITING = 50
FLOOD = 600
BODY = "x" * 20_000
MEBIBYTE = 1_048_576


@pytest.fixture(scope="module")
def still(postgresql: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Platform]]:
    """A gateway on a PostgreSQL that may be made to stand still, with room for few writes."""
    settings = {
        "store": {"waiting_writes": WAITING, "writers": 1},
        "presence": {"grace_s": GRACE_S},
    }
    with postgresql.bare_database() as url:
        gateway = Gateway(
            tmp_path_factory.mktemp("overload") / "data", settings={**settings, "database_url": url}
        )
        gateway.start()
        platform = Platform(gateway.url, gateway.process.wait_for_line(r"API key\s+(\S+)")[1])
        yield gateway, platform
        platform.close()
        end(gateway)


@pytest.fixture
def on_file(data: Path) -> Iterator[tuple[Gateway, Platform]]:
    gateway = Gateway(data)
    key = gateway.create_tenant().api_key
    gateway.start()
    platform = Platform(gateway.url, key)
    yield gateway, platform
    platform.close()
    end(gateway)


def require_refusal(person: Person, room_id: str, *, within_s: float) -> None:
    watch = Stopwatch()
    answer = person.rest.post(
        f"/chat/rooms/{room_id}/messages", {"senderId": person.id, "parts": [{"type": "text", "text": "no"}]}
    )
    assert watch.seconds() < within_s
    refusal(answer, 503)
    assert int(answer.headers["retry-after"]) >= 1


def resident_bytes(gateway: Gateway) -> int:
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1_024


def test_presence_and_typing_go_on_while_the_database_stands_still(
    still: tuple[Gateway, Platform], postgresql: Server, device: Opener
) -> None:
    _, platform = still
    ann, bob, cat = (platform.person(name) for name in ("ann", "bob", "cat"))
    room = platform.room(ann, bob)
    of_ann, of_bob, of_cat = device(ann), device(bob), device(cat)
    for one in (of_ann, of_bob):
        one.emit("join-room", {"roomId": room.id})
        one.inbox.take("joined-room")
    of_ann.inbox.take("tenant-presence", userId=cat.id, online=True)

    with postgresql.standing_still():
        of_bob.emit("typing", {"roomId": room.id, "isTyping": True})
        of_ann.inbox.take("typing", userId=bob.id, isTyping=True, within_s=MEANWHILE_S)
        of_cat.close()
        of_ann.inbox.take("tenant-presence", userId=cat.id, online=False, within_s=MEANWHILE_S)
        require_refusal(ann, room.id, within_s=ANSWER_S)

    sent = ann.send(room.id, "again")
    of_bob.inbox.take("new-message", id=sent.id)


def test_who_connects_meanwhile_is_let_in_when_the_database_is_back(
    still: tuple[Gateway, Platform], postgresql: Server, node_clients: NodeClients
) -> None:
    """The published client gives up for good when it is refused; it must be cut off instead."""
    gateway, platform = still
    ann = platform.person("ann")
    postgresql.stop()

    def start_again() -> None:
        gateway.process.wait_for_line("client not let in")
        postgresql.start()

    back = threading.Thread(target=start_again)
    back.start()
    try:
        of_ann = node_clients.connect(ann.url, auth=ann.auth, reconnection=True)
    finally:
        back.join()

    assert of_ann.inbox.seen("@refused") == []
    room = platform.room(ann)
    of_ann.inbox.take("new-message", id=ann.send(room.id, "here").id)
    of_ann.close()


def test_a_flood_while_the_database_stands_still_is_refused_and_takes_bounded_memory(
    still: tuple[Gateway, Platform], postgresql: Server
) -> None:
    gateway, platform = still
    ann = platform.person("ann")
    room = platform.room(ann)
    headers = {"Authorization": f"Bearer {ann.token}", "Content-Type": "application/json"}
    body = json.dumps({"senderId": ann.id, "parts": [{"type": "text", "text": BODY}]}).encode()
    flood = [Connection(gateway.url) for _ in range(FLOOD)]
    # The tenant is known for a second from now: afterwards senders would wait to be recognized, and not to write.
    ann.send(room.id, "warm")
    before = resident_bytes(gateway)

    with postgresql.standing_still():
        watch, began = Stopwatch(), time.monotonic()
        for connection in flood:
            connection.request("POST", f"/v1/chat/rooms/{room.id}/messages", headers=headers, body=body)
        answers = [connection.answer() for connection in flood]
        took_s, answered_s = watch.seconds(), time.monotonic() - began
        grown = resident_bytes(gateway) - before

    assert {answer.status for answer in answers} == {503}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
    turned_away = sum(b"Too many writes" in answer.body for answer in answers)
    # One write was enough to begin the group that stands still; how many more had come by then is chance. And whoever comes
    # when the first have been answered finds room: on a busy machine a flood takes its time.
    room_made = math.ceil(answered_s / ANSWER_S)
    assert FLOOD - room_made * (WAITING + GROUP) <= turned_away < FLOOD - WAITING
    assert took_s < ANSWER_S + 2.0
    assert grown < 3 * FLOOD * len(body) + 16 * MEBIBYTE
    # What was under way may have been written all the same; nothing that waited was, nor keeps others waiting now.
    ann.send(room.id, "after")
    assert len(ann.history(room.id)) <= 1 + GROUP + 1
    for connection in flood:
        connection.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process would hold the write lock like this."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def full(gateway: Gateway) -> Iterator[None]:
    """No file of the gateway can grow any more, as on a full disk."""
    before = resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("fault", ["locked", "full"])
def test_a_file_that_cannot_be_written_is_still_read_and_is_written_again_afterwards(
    on_file: tuple[Gateway, Platform], device: Opener, fault: str
) -> None:
    gateway, platform = on_file
    ann, bob = platform.person("ann"), platform.person("bob")
    room = platform.room(ann, bob)
    sent = [ann.send(room.id, "before").id]
    of_bob = device(bob)

    with locked(gateway.data / "gateway.db") if fault == "locked" else full(gateway):
        require_refusal(ann, room.id, within_s=LOCKED_S)
        assert [message.id for message in bob.history(room.id)] == sent
        late = device(ann)  # is let in, too
        late.inbox.take("tenant-presence-snapshot")

    sent.append(ann.send(room.id, "after").id)
    for one in (of_bob, late):
        one.inbox.take("new-message", id=sent[-1])
    assert [message.id for message in bob.history(room.id)] == sent
