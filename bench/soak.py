"""Half an hour of everyday life: whether memory stays where it is, and how long a delivery takes meanwhile.

500 people, each in two rooms of ten, write, type, read, change rooms, list rooms and messages, lose their connection
and come back with a fresh token: some 360 things a second, at random moments (Poisson) that wait for nobody. A delivery
counts from when its message was due. Memory is sampled all the time; the slope is that of the run's second
half by least squares, since caches and the page cache of the database fill in the first. It is the resident set: how much
of the libraries is counted as proportional changes with whoever else on the machine runs Python, by a percent.
"""

from __future__ import annotations

import contextlib
import json
import random
import time
from array import array
from collections import deque
from collections.abc import Sequence

from bench.contest import Measured, Options, compete
from bench.gateway import Platform, message_number, platform, post_message
from bench.loop import BenchError, Loop
from bench.report import Curve, Figures, Report, latency
from bench.rest import Connection, request
from bench.websocket import Client, Crowd, frame, socketio

PEERS = ()
ROUNDS = 1
SECONDS = 1_800.0
PEOPLE = 500
ROOM = 10
REQUESTS = 512
"""Connections for REST, far more than are ever busy."""

KEPT = 1 << 16
"""Messages whose moments are remembered."""


def run(options: Options) -> Report:
    report = Report("soak", "rss_growth_percent", "% that memory grows by, at the slope of the second half")
    report.also = ("rss_mb", "delivery_p50_ms", "delivery_p99_ms")
    people = options.sessions or (20 if options.quick else PEOPLE,)
    compete(report, options, options.chosen(PEERS), people, lambda _, count: _measure(report, count, options))
    return report


def _measure(report: Report, people: int, options: Options) -> Measured:
    with contextlib.ExitStack() as stack:
        backend = stack.enter_context(platform(options))
        loop = Loop()
        stack.callback(loop.close)
        life = Life(loop, backend, people)
        stack.callback(life.close)
        figures = life.go_on(options.seconds)
        report.curves.append(
            Curve(
                title=f"soak: memory of the gateway while {people} people chat",
                x="minutes",
                y="MiB (RSS)",
                lines={"gateway": [(at_s / 60, kb / 1024) for at_s, kb in life.memory]},
            )
        )
        yield f"{people} people", figures


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the line through the points with the least squares."""
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread if spread else 0.0


class Life:
    """People with their connections, and what they do.

    Attributes:
        memory: seconds since the beginning, and the gateway's resident set then, in KiB.
    """

    def __init__(self, loop: Loop, backend: Platform, people: int) -> None:
        self.memory: list[tuple[float, float]] = []
        self._loop = loop
        self._backend = backend
        self._chance = random.Random(people)
        self._users = [f"user-{number:05d}" for number in range(people)]
        # Neighbours are in one room, and those of the same place in their rooms in another.
        tables = [self._users[first : first + ROOM] for first in range(0, people, ROOM)]
        circles = [self._users[first :: len(tables)] for first in range(len(tables))]
        ids = backend.create_rooms([*tables, *circles])
        self._rooms = [
            (ids[number // ROOM], ids[len(tables) + number % len(tables)]) for number in range(people)
        ]
        self._tokens = backend.tokens(self._users)
        self._open = [0] * people
        self._typing = [False] * people
        self._sent = 0
        self._due = array("d", bytes(8 * KEPT))
        self._took = array("d")
        self._crowd = Crowd(
            loop,
            marker=b'42["new-message"',
            on_hits=lambda _client, _hits: None,
            on_payload=self._delivered,
        )
        self._crowd.open(backend.server.port, [socketio(self._auth(number)) for number in range(people)])
        self._coming: dict[Connection, int] = {}
        self._back: list[int] = []
        self._free: deque[Connection] = deque(
            Connection(loop, backend.server.port, self._answered) for _ in range(REQUESTS)
        )
        self._pool = list(self._free)
        # Each with how many times a second.
        self._acts = {
            self._send: 150,
            self._type: 80,
            self._read: 50,
            self._enter: 40,
            self._list_rooms: 25,
            self._list_messages: 10,
            self._come_back: 3,
        }

    def go_on(self, seconds: float) -> Figures:
        """Live for so long.

        Raises:
            BenchError: somebody was refused, lost his connection, or found no answer.
        """
        server, acts, shares = self._backend.server, list(self._acts), list(self._acts.values())
        per_s = sum(shares) * len(self._users) / PEOPLE
        every_s = max(seconds / 360, 0.05)
        cpu, driver, start = server.cpu_s(), time.process_time(), time.perf_counter()
        due = sampled = start
        while due < start + seconds:
            self._loop.wait_until(due)
            self._reconnect()
            if due <= time.perf_counter():
                (act,) = self._chance.choices(acts, shares)
                act(self._chance.randrange(len(self._users)), due)
                due += self._chance.expovariate(per_s)
            if (now := time.perf_counter()) >= sampled:
                self.memory.append((now - start, server.memory_kb()[0]))
                sampled = now + every_s
        wall = time.perf_counter() - start
        self._loop.until(lambda: len(self._free) == len(self._pool), within_s=30, what="the last answers")
        self._loop.quiet(for_s=0.2, within_s=30)
        late = [point for point in self.memory if point[0] >= wall / 2]
        level = sum(kb for _, kb in late) / len(late)
        percent_per_s = slope(late) / level * 100
        return {
            "rss_growth_percent": percent_per_s * seconds,
            "rss_slope_percent_an_hour": percent_per_s * 3_600,
            "rss_mb": level / 1024,
            **latency(self._took, "delivery_"),
            "deliveries": len(self._took),
            "messages": self._sent,
            "server_busy": (server.cpu_s() - cpu) / wall,
            "driver_busy": (time.process_time() - driver) / wall,
        }

    # --- what people do; each takes who it is, and when he wanted to -----------------------------------------

    def _send(self, who: int, due: float) -> None:
        self._sent += 1
        self._due[self._sent % KEPT] = due
        self._request(post_message(self._room(who), self._tokens[who], self._users[who], self._sent), due)

    def _type(self, who: int, _due: float) -> None:
        self._typing[who] = not self._typing[who]
        self._say(who, "typing", isTyping=self._typing[who])

    def _enter(self, who: int, _due: float) -> None:
        self._open[who] ^= 1
        self._say(who, "join-room")

    def _read(self, who: int, due: float) -> None:
        body = json.dumps({"userId": self._users[who]}).encode()
        self._request(self._as(who, "POST", f"/v1/chat/rooms/{self._room(who)}/read", body), due)

    def _list_rooms(self, who: int, due: float) -> None:
        self._request(self._as(who, "GET", "/v1/chat/rooms?limit=50"), due)

    def _list_messages(self, who: int, due: float) -> None:
        self._request(self._as(who, "GET", f"/v1/chat/rooms/{self._room(who)}/messages?limit=50"), due)

    def _come_back(self, who: int, due: float) -> None:
        """With a fresh token; the old connection breaks when it is there."""
        self._coming[self._request(self._backend.token_request(self._users[who]), due)] = who

    # --- how ---------------------------------------------------------------------------------------------------

    def _room(self, who: int) -> str:
        return self._rooms[who][self._open[who]]

    def _auth(self, who: int) -> bytes:
        return json.dumps({"token": self._tokens[who]}).encode()

    def _as(self, who: int, method: str, path: str, body: bytes = b"") -> bytes:
        return request(method, path, headers={"Authorization": f"Bearer {self._tokens[who]}"}, body=body)

    def _request(self, data: bytes, due: float) -> Connection:
        # After a stall. Those whose turn comes meanwhile are late, and it is counted: they were due on time.
        self._loop.until(
            lambda: bool(self._free), within_s=60, what=f"an answer to any of {REQUESTS} requests"
        )
        connection = self._free.popleft()
        connection.send(data, began=due)
        return connection

    def _say(self, who: int, event: str, **more: object) -> None:
        client = self._crowd.clients[who]
        if client.is_in:
            payload = json.dumps([event, {"roomId": self._room(who), "userId": self._users[who], **more}])
            client.send(frame(f"42{payload}".encode()))

    def _answered(self, connection: Connection, status: int, body: bytes) -> None:
        if not 200 <= status < 300:
            raise BenchError(f"answered {status}: {body[:200]!r}")
        self._free.append(connection)
        who = self._coming.pop(connection, None)
        if who is not None:
            self._tokens[who] = json.loads(body)["token"]
            self._back.append(who)

    def _reconnect(self) -> None:
        """Those who have their tokens. Not where these arrive: a socket may be closed between two turns of the loop only."""
        while self._back:
            who = self._back.pop()
            self._crowd.clients[who].close()
            self._crowd.clients[who] = Client(
                self._crowd, who, self._backend.server.port, socketio(self._auth(who))
            )

    def _delivered(self, _client: Client, payload: bytes) -> None:
        self._took.append(time.perf_counter() - self._due[message_number(payload) % KEPT])

    def close(self) -> None:
        for connection in self._pool:
            connection.close()
        self._crowd.close()
