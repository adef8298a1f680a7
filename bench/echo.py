"""A small event and its answer: what one costs the server that has nothing else to do.

Fifty connections each send a ``typing`` event with an ack id and wait for the ack, then send the next; and the same with
eight events at a time. The gateway checks limits and membership and keeps the typing state; the Socket.IO peers only
acknowledge; the bare WebSocket peers send back what they got.
"""

from __future__ import annotations

import contextlib
import time

from bench.contest import Measured, Options, compete
from bench.loop import Loop
from bench.report import Figures, Report, latency
from bench.server import Spent
from bench.stage import Stage, stage
from bench.websocket import Client, Crowd, frame

PEERS = ("socketio-node", "ws-node", "bun", "socketio-python")
CONNECTIONS = 50
IN_FLIGHT = (1, 8)


def run(options: Options) -> Report:
    report = Report("echo", "cpu_us_per_event", "µs server CPU per event")
    connections = options.sessions or (5 if options.quick else CONNECTIONS,)
    compete(
        report,
        options,
        options.chosen(PEERS),
        connections,
        lambda server, count: _measure(server, count, options),
    )
    return report


def _measure(name: str, connections: int, options: Options) -> Measured:
    with contextlib.ExitStack() as stack:
        on_stage = stack.enter_context(stage(name, options, sessions=connections, room=1, join=True))
        loop = Loop()
        stack.callback(loop.close)
        talkers = Talkers(loop, on_stage)
        stack.callback(talkers.close)
        for in_flight in IN_FLIGHT:
            talkers.talk(in_flight, options.warm_up_s)
            with on_stage.server.metering() as spent:
                talkers.talk(in_flight, options.seconds)
            yield f"{connections} connections, {in_flight} in flight", talkers.figures(spent)


class Talkers:
    """Clients that send a batch of events, await all answers, and send the next."""

    def __init__(self, loop: Loop, on_stage: Stage) -> None:
        self._loop = loop
        self._stage = on_stage
        self._crowd = Crowd(loop, marker=on_stage.answer, on_hits=self._answered)
        self._crowd.open(on_stage.server.port, on_stage.handshakes)
        count = len(self._crowd.clients)
        self._batches: list[tuple[bytes, bytes]] = []
        self._turns = [0] * count
        self._missing = [0] * count
        self._began = [0.0] * count
        self._latencies: list[float] = []
        self._in_flight = 1
        self._deadline = 0.0
        self._busy = 0

    def _answered(self, client: Client, hits: int) -> None:
        number = client.number
        self._missing[number] -= hits
        if self._missing[number]:
            return
        now = time.perf_counter()
        self._latencies.append(now - self._began[number])
        if now < self._deadline:
            self._send(client, now)
        else:
            self._busy -= 1

    def _send(self, client: Client, now: float) -> None:
        number = client.number
        self._began[number] = now
        self._missing[number] = self._in_flight
        self._turns[number] ^= 1
        client.send(self._batches[number][self._turns[number]])

    def talk(self, in_flight: int, seconds: float) -> None:
        """Keep all clients talking for ``seconds``, then drain."""
        typing = self._stage.typing
        self._in_flight = in_flight
        self._batches = [
            (
                b"".join(frame(typing(client.number, n)) for n in range(in_flight)),
                b"".join(frame(typing(client.number, n + 1)) for n in range(in_flight)),
            )
            for client in self._crowd.clients
        ]
        self._latencies.clear()
        self._deadline = time.perf_counter() + seconds
        self._busy = len(self._crowd.clients)
        for client in self._crowd.clients:
            self._send(client, time.perf_counter())
        self._loop.until(lambda: not self._busy, within_s=seconds + 30, what="answers to all events")

    def figures(self, spent: Spent) -> Figures:
        """Of the last talk."""
        events = len(self._latencies) * self._in_flight
        return {
            "cpu_us_per_event": spent.server_s / events * 1e6,
            "events_per_s": events / spent.wall_s,
            **latency(self._latencies),
            "driver_busy": spent.driver_busy,
        }

    def close(self) -> None:
        self._crowd.close()
