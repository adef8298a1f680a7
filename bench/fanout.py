"""One message to N sessions: what each delivery costs the server, one message in flight and eight, and how long it takes.

A message is posted over HTTP and is done when every session has received it and the sender has his answer; then the next one
goes. How long deliveries take is measured with messages at even intervals, half as often as one in flight came to. For the
gateway that is the real route: token, membership, durable commit, ``new-message`` on the user channel of each of N different
users. A peer makes the same message and emits it to a room of N.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque

from bench.contest import Measured, Options, compete
from bench.loop import BenchError, Loop
from bench.report import Report, latency
from bench.rest import Connection
from bench.server import Server, Spent
from bench.stage import Stage, stage
from bench.websocket import Client, Crowd

PEERS = ("socketio-node", "ws-node", "bun", "socketio-python")
SESSIONS = (1, 100, 1_000, 10_000)
IN_FLIGHT = (1, 8)


def run(options: Options) -> Report:
    report = Report(
        "fanout",
        "cpu_us_per_delivery",
        "µs server CPU per delivery",
        also=("half_load_delivery_p50_ms", "half_load_delivery_p99_ms"),
    )
    sizes = options.sessions or ((1, 20) if options.quick else SESSIONS)
    compete(
        report,
        options,
        options.chosen(PEERS),
        sizes,
        lambda server, sessions: measure(server, sessions, options),
    )
    return report


def measure(name: str, sessions: int, options: Options) -> Measured:
    """One server with so many sessions, one message in flight and eight."""
    with contextlib.ExitStack() as stack:
        on_stage = stack.enter_context(stage(name, options, sessions=sessions, room=sessions, join=False))
        loop = Loop()
        stack.callback(loop.close)
        audience = Audience(loop, on_stage, sessions)
        stack.callback(audience.close)
        for in_flight in IN_FLIGHT:
            audience.listen(in_flight, options.warm_up_s)
            with on_stage.server.metering() as spent:
                audience.listen(in_flight, options.seconds)
            figures = audience.figures(spent)
            if in_flight == 1:
                rate = figures["deliveries_per_s"] / sessions / 2
                took_s = audience.took_s(rate, options.seconds)
                figures |= {"half_load_rate": rate, **latency(took_s, "half_load_delivery_")}
            yield f"{sessions} sessions, {in_flight} in flight", figures


class Audience:
    """N sessions and the connections that post to them."""

    def __init__(self, loop: Loop, on_stage: Stage, sessions: int) -> None:
        self._loop = loop
        self._server: Server = on_stage.server
        self._post = on_stage.post
        self._sessions = sessions
        self._crowd = Crowd(loop, marker=b'42["new-message"', on_hits=self._received)
        self._crowd.open(on_stage.server.port, on_stage.handshakes)
        self._free: deque[Connection] = deque(
            Connection(loop, on_stage.server.port, self._answered) for _ in range(max(IN_FLIGHT))
        )
        self._pool = list(self._free)
        # reached[k]: how many sessions have received k + 1 messages; every session gets them in the same order.
        self._reached: list[int] = []
        self._began: list[float] = []
        self._latencies: list[float] = []
        self._done = 0

    def _received(self, client: Client, hits: int) -> None:
        try:
            for level in range(client.seen - hits, client.seen):
                self._reached[level] += 1
        except IndexError:
            raise BenchError("a session received more messages than were sent") from None

    def _answered(self, connection: Connection, status: int, body: bytes) -> None:
        if status != 201:
            raise BenchError(f"a message was answered {status}: {body[:200]!r}")
        self._free.append(connection)

    def listen(self, in_flight: int, seconds: float) -> None:
        """Keep ``in_flight`` messages under way for ``seconds``, then drain.

        Raises:
            BenchError: deliveries stopped coming.
        """
        self._latencies.clear()
        moved = time.perf_counter()
        deadline = moved + seconds
        while True:
            now = time.perf_counter()
            if now < deadline:
                self._fill(in_flight, now)
            elif self._done == len(self._began) and len(self._free) == len(self._pool):
                break
            if not self._loop.turn(0.05) and now - moved > 30:
                self._server.check()
                raise BenchError(f"deliveries stopped: {self._reached[-1]} of {self._sessions} received")
            now = time.perf_counter()
            while self._done < len(self._began) and self._reached[self._done] == self._sessions:
                self._latencies.append(now - self._began[self._done])
                self._done += 1
                moved = now

    def took_s(self, per_s: float, seconds: float) -> list[float]:
        """Send at even intervals; how long each delivery took, from when the schedule wanted its message sent.

        Raises:
            BenchError: messages did not leave or arrive.
        """
        took: list[float] = []

        def timed(client: Client, hits: int) -> None:
            self._received(client, hits)
            now = time.perf_counter()
            took.extend([now - began for began in self._began[client.seen - hits : client.seen]])

        self._crowd.on_hits = timed
        start = time.perf_counter()
        dues = deque(start + number / per_s for number in range(max(1, int(per_s * seconds))))
        while dues:
            if self._free and time.perf_counter() >= dues[0]:
                self._send(dues.popleft())
            else:
                # Turning with no timeout keeps the schedule exact; a sleep would be late by the timer's slack.
                self._loop.turn(0)
                if time.perf_counter() > start + seconds * 4 + 10:
                    raise BenchError(f"{len(dues)} scheduled messages could not be sent")
        self._loop.until(lambda: self._reached[-1] == self._sessions, within_s=30, what="the last message")
        self._done = len(self._began)
        self._crowd.on_hits = self._received
        return took

    def figures(self, spent: Spent) -> dict[str, float]:
        """Of the messages of the last time of listening."""
        messages = len(self._latencies)
        deliveries = messages * self._sessions
        return {
            "cpu_us_per_delivery": spent.server_s / deliveries * 1e6,
            "deliveries_per_s": deliveries / spent.wall_s,
            **latency(self._latencies),
            "messages": messages,
            "driver_busy": spent.driver_busy,
        }

    def _fill(self, in_flight: int, now: float) -> None:
        while len(self._began) - self._done < in_flight and self._free:
            self._send(now)

    def _send(self, began: float) -> None:
        number = len(self._began)
        self._began.append(began)
        self._reached.append(0)
        self._free.popleft().send(self._post(0, number), began=began)

    def close(self) -> None:
        for connection in self._pool:
            connection.close()
        self._crowd.close()
