"""The whole node in this process: who comes, chats and goes leaves nothing behind, nor for the collector.

The collector is off, as it nearly is in a gateway (``serving``): what only it would free stays for hours.
"""

from __future__ import annotations

import gc
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import trio

from gateway.config import Config, Log
from gateway.delivery.timers import Bucket
from gateway.serving import Started, serve
from tests.support.engine import Peer, Polling, next_packet
from tests.support.platform import Person, Platform
from tests.support.raw import Connection

VISITS = 20
PATIENCE_S = 10.0


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """A node sets up the garbage collector of its process, which is ours."""
    thresholds = gc.get_threshold()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def _talk(person: Person, room_id: str, number: int) -> None:
    """Write, read, look around."""
    with closing(Connection(person.url)) as connection:

        def ask(method: str, path: str, body: object = None) -> None:
            answer = connection.ask(
                method,
                f"/v1/chat/rooms{path}",
                headers={"Authorization": f"Bearer {person.token}", "Content-Type": "application/json"},
                body=None if body is None else json.dumps(body).encode(),
            )
            assert answer.status in (200, 201), answer

        message = {"senderId": person.id, "parts": [{"type": "text", "text": f"Number {number}"}]}
        ask("POST", f"/{room_id}/messages", message)
        ask("POST", f"/{room_id}/read", {"userId": person.id})
        ask("GET", "?limit=50")
        ask("GET", f"/{room_id}/messages?limit=5")


def _packets(person: Person, room_id: str) -> list[str]:
    place = {"roomId": room_id, "userId": person.id}
    return [
        f"42{json.dumps(packet)}"
        for packet in (["join-room", place], ["typing", place | {"isTyping": True}], ["leave-room", place])
    ]


def by_websocket(person: Person, room_id: str, number: int) -> None:
    peer = Peer(url=person.url, path="/socket.io/", connect=f"40{json.dumps(person.auth)}")
    with closing(peer.connected_websocket()) as socket:
        for packet in _packets(person, room_id):
            socket.send(packet)
        _talk(person, room_id, number)
        while f"Number {number}" not in next_packet(socket):
            pass


def by_polling(person: Person, room_id: str, number: int) -> None:
    with closing(Polling(Peer(url=person.url, path="/socket.io/"))) as polling:
        assert polling.post(f"40{json.dumps(person.auth)}").status == 200
        assert polling.packets()[0].startswith("40{")
        for packet in _packets(person, room_id):
            assert polling.post(packet).status == 200
        _talk(person, room_id, number)
        while not any(f"Number {number}" in packet for packet in polling.packets()):
            pass
        polling.post("1")


@pytest.mark.parametrize("visit", [by_websocket, by_polling])
async def test_who_comes_and_goes_leaves_nothing_behind(
    tmp_path: Path, visit: Callable[[Person, str, int], None]
) -> None:
    config = Config(host="127.0.0.1", port=0, data=tmp_path, log=Log(level="error"))
    said: list[Started] = []
    listening = trio.Event()

    def started(what: Started) -> None:
        said.append(what)
        listening.set()

    def live(url: str, api_key: str) -> dict[str, int]:
        with closing(Platform(url, api_key)) as platform:
            ann, bob = platform.person("ann"), platform.person("bob")
            room = platform.room(ann, bob)
            _objects()  # counting for the first time leaves something behind, too
            for number in range(VISITS):  # fills what is remembered
                visit(ann, room.id, number)
            before = _objects()
            for number in range(VISITS, 2 * VISITS):
                visit(ann, room.id, number)
            # The node may still be busy with the end of the last ones.
            patience = time.monotonic() + PATIENCE_S
            while (left := _more(before)) and time.monotonic() < patience:
                time.sleep(0.05)
            return left

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve, config, started=started))
        await listening.wait()
        first = said[0].first_tenant
        assert first is not None
        left = await trio.to_thread.run_sync(live, said[0].url, first.api_key)
        nursery.cancel_scope.cancel()
    assert left == {}


def _more(before: Counter[str]) -> dict[str, int]:
    """Of what there are more now, by as many as the visits would explain."""
    more = _objects() - before
    # Looked at within a minute, whether there is a timer left in them or not, and then dropped.
    del more[f"{Bucket.__module__}.{Bucket.__qualname__}"]
    return {name: count for name, count in more.items() if count >= VISITS / 2}


def _objects() -> Counter[str]:
    """How many of each kind there are, of those that the collector knows."""
    return Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
