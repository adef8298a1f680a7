"""A client that falls behind is disconnected at a byte bound, and nobody waits for it."""

from __future__ import annotations

import json
import threading
import time

from tests.e2e.conftest import Opener
from tests.support.engine import Peer
from tests.support.inbox import PATIENCE_S
from tests.support.platform import Person, Platform
from tests.support.raw import Connection, WebSocket


def peer(person: Person) -> Peer:
    return Peer(url=person.url, path="/socket.io/", connect=f"40{json.dumps(person.auth)}")


def flood(sender: Person, room_id: str, *, until: threading.Event) -> list[float]:
    """Send large messages until told to stop; how long each took, in seconds."""
    durations = []
    body = "x" * 40_000
    deadline = time.monotonic() + 60
    while not until.is_set():
        started = time.monotonic()
        sender.send(room_id, body)
        durations.append(time.monotonic() - started)
        assert time.monotonic() < deadline, "the slow client is never disconnected"
    return durations


def test_a_client_that_does_not_read_is_disconnected_and_delays_nobody(
    platform: Platform, device: Opener
) -> None:
    ann, bob, slow = (platform.person(name) for name in ("ann", "bob", "slow"))
    room = platform.room(ann, bob, slow)
    of_bob = device(bob)
    connection = Connection(platform.url, receive_bytes=4_096)
    socket = WebSocket(connection, "/socket.io/?EIO=4&transport=websocket")
    socket.send(f"40{json.dumps(slow.auth)}")
    of_bob.inbox.take("tenant-presence", userId=slow.id, online=True)

    gone = threading.Event()

    def wait_for_its_end() -> None:
        of_bob.inbox.take("tenant-presence", userId=slow.id, online=False, within_s=60)
        gone.set()

    waiter = threading.Thread(target=wait_for_its_end)
    waiter.start()
    durations = flood(ann, room.id, until=gone)
    waiter.join()
    last = ann.send(room.id, "last")

    of_bob.inbox.take("new-message", id=last.id)
    assert len(of_bob.inbox.seen("new-message")) == len(durations) + 1
    assert max(durations) < 1.0, "a sender waited for the slow client"
    connection.close()


def test_a_polling_client_that_does_not_poll_is_disconnected_at_the_same_bound(
    platform: Platform, device: Opener
) -> None:
    ann, slow = platform.person("ann"), platform.person("slow")
    room = platform.room(ann, slow)
    polling = peer(slow).polling()
    assert polling.post(peer(slow).connect).status == 200
    assert polling.packets()[0].startswith("40{")

    for _ in range(10):  # 400 KB against 256 KiB
        ann.send(room.id, "x" * 40_000)

    # Asked by posts: a poll would take what is queued, and the client would not be slow any more.
    deadline = time.monotonic() + PATIENCE_S
    while polling.post("3").status != 400:
        assert time.monotonic() < deadline, "it is still a session"
    polling.close()
