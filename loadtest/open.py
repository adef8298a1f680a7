"""Many raw connections, and messages sent when the schedule says so: what a rate of messages costs its recipients.

One loop over non-blocking sockets, which the benches drive their crowds with too. Messages are due at random moments
(Poisson), in random rooms. A message that finds every connection for requests busy goes as soon as one is free; its times
count from when it was due, all the same. At the end every delivery is accounted for.

Plain HTTP only: 20 000 TLS sessions would measure this process.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from collections import deque
from collections.abc import Callable

from bench.loop import BenchError, Loop
from bench.machine import settle_driver
from bench.rest import Connection, request
from bench.websocket import Client, Crowd, Handshake, socketio
from loadtest.platform import LoadError, Person, Platform
from loadtest.record import Record
from loadtest.texts import STAMP_DIGITS, stamped

POSTING = 128
"""Connections for requests: as many messages can be on their way at once."""

DRAIN_S = 30.0
STAMP = b'"at '


def run(
    *,
    platform: Platform,
    people: list[Person],
    rate: float,
    seconds: float,
    record: Record,
    show: Callable[[str], None],
) -> None:
    """Connect everybody, and send ``rate`` messages a second for ``seconds``.

    Raises:
        LoadError: they cannot all be connected.
    """
    if platform.secure:
        raise LoadError("the open load speaks plain HTTP only: point it at the gateway behind the proxy")
    settle_driver()
    tokens = platform.tokens(people)
    loop = Loop()
    try:
        driver = Driver(loop, platform, people, tokens, record=record, show=show)
        driver.connect()
        driver.send(rate=rate, seconds=seconds)
        driver.drain()
        driver.close()
    except (BenchError, OSError) as error:
        raise LoadError(f"the run ended early: {error}") from error
    finally:
        loop.close()


class Driver:
    """The connections of a run, and what is on its way to them."""

    def __init__(
        self,
        loop: Loop,
        platform: Platform,
        people: list[Person],
        tokens: list[str],
        *,
        record: Record,
        show: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._platform = platform
        self._people = people
        self._tokens = tokens
        self._record = record
        self._show = show
        self._shown_at = time.perf_counter()
        self._crowd = Crowd(
            loop,
            marker=b'42["new-message"',
            on_hits=lambda _client, _hits: None,
            on_payload=self._delivered,
            on_lost=self._lost,
            host=platform.host,
        )
        self._members: dict[str, int] = {}
        for person in people:
            for room_id in person.rooms:
                self._members[room_id] = self._members.get(room_id, 0) + 1
        self._posting: list[Connection] = []
        self._free: deque[Connection] = deque()
        self._room_of: dict[Connection, str] = {}
        self._expected = 0
        self._arrived = 0

    def connect(self) -> None:
        """Bring everybody in, his room open."""
        handshakes = [self._handshake(*each) for each in zip(self._people, self._tokens, strict=True)]
        step = max(500, len(handshakes) // 20)
        for first in range(0, len(handshakes), step):
            began = time.perf_counter()
            group = handshakes[first : first + step]
            self._crowd.open(self._platform.port, group)
            self._show(f"{first + len(group)} connected, {len(group) / (time.perf_counter() - began):.0f}/s")
        for _ in range(POSTING):
            connection = Connection(self._loop, self._platform.port, self._answered, host=self._platform.host)
            self._posting.append(connection)
        self._free.extend(self._posting)

    def _handshake(self, person: Person, token: str) -> Handshake:
        wanted = json.dumps({"roomId": person.rooms[0], "userId": person.id})
        join = (f'42["join-room",{wanted}]'.encode(), b'42["joined-room"')
        return socketio(json.dumps({"token": token}).encode(), join)

    def send(self, *, rate: float, seconds: float) -> None:
        """Messages at random moments, so many a second on average."""
        due = time.perf_counter()
        end = due + seconds
        late: deque[float] = deque()  # no longer than the run has messages
        while late or due < end:
            now = time.perf_counter()
            while due <= now and due < end:
                late.append(due)
                due += random.expovariate(rate)
            while late and self._free:
                self._post(late.popleft())
            self._turn(0.05 if late else max(min(due, end) - time.perf_counter(), 0.0))

    def drain(self) -> None:
        """Until all that was sent has arrived; what has not after a while is lost."""
        until = time.perf_counter() + DRAIN_S
        while self._room_of or self._arrived < self._expected:
            if time.perf_counter() > until:
                for _ in range(self._expected - self._arrived):
                    self._record.failed("new-message", f"not delivered within {DRAIN_S:g} s")
                return
            self._turn(0.05)

    def close(self) -> None:
        self._crowd.close()
        for connection in self._posting:
            connection.close()

    def _turn(self, timeout_s: float) -> None:
        self._loop.turn(min(timeout_s, 0.05))
        if time.perf_counter() - self._shown_at >= 1.0:
            self._shown_at = time.perf_counter()
            self._show(self._record.progress())

    def _post(self, due: float) -> None:
        number = random.randrange(len(self._people))
        person, connection = self._people[number], self._free.popleft()
        body = {
            "senderId": person.id,
            "clientMessageId": str(uuid.uuid4()),
            "parts": [{"type": "text", "text": stamped(due)}],
        }
        path = f"/v1/chat/rooms/{person.rooms[0]}/messages"
        headers = {"Authorization": f"Bearer {self._tokens[number]}"}
        self._room_of[connection] = person.rooms[0]
        connection.send(request("POST", path, headers=headers, body=json.dumps(body).encode()), began=due)

    def _answered(self, connection: Connection, status: int, body: bytes) -> None:
        room_id = self._room_of.pop(connection)
        self._free.append(connection)
        if status == 201:
            self._record.took("POST /messages", time.perf_counter() - connection.began)
            self._expected += self._members[room_id]
        else:
            self._record.failed("POST /messages", f"answered {status}")

    def _delivered(self, _client: Client, payload: bytes) -> None:
        found = payload.find(STAMP) + len(STAMP)
        sent_us = int(payload[found : found + STAMP_DIGITS])
        self._record.took("new-message", time.perf_counter() - sent_us / 1e6)
        self._arrived += 1

    def _lost(self, client: Client, why: str) -> None:
        self._record.failed("socket", why)
        client.close()
