"""A crowd that was cut off comes back: 1 000 clients, each of which has missed 100 events, at the same moment.

Clients are in rooms of ten. All get a message, are cut off, miss 100 more, and come back with the ``pid`` and offset that
Socket.IO gives them. Each is done when it has exactly what it missed; one that the server does not take for the same
socket again fails the case. The peer keeps what was missed in its memory.
"""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

from bench.contest import Measured, Options, compete
from bench.loop import BenchError, Loop
from bench.report import Figures, Report, latency
from bench.rest import fetch_all
from bench.stage import Stage, stage
from bench.websocket import Client, Crowd, Handshake, socketio

PEERS = ("socketio-node-recovery",)
CLIENTS = 1_000
ROOM = 10
MISSED = 100


def run(options: Options) -> Report:
    report = Report("recovery", "back_p50_ms", "ms until a client has all that it missed")
    clients = options.sessions or ((20,) if options.quick else (CLIENTS,))
    compete(
        report, options, options.chosen(PEERS), clients, lambda name, count: _measure(name, count, options)
    )
    return report


def _measure(name: str, clients: int, options: Options) -> Measured:
    missed = 5 if options.quick else MISSED
    with contextlib.ExitStack() as stack:
        on_stage = stack.enter_context(stage(name, options, sessions=clients, room=ROOM, join=False))
        loop = Loop()
        stack.callback(loop.close)
        absent = Absent(loop, on_stage)
        absent.meet()
        absent.miss(missed)
        yield f"{clients} clients, {missed} missed events each", absent.come_back(missed)


class Absent:
    """Clients that are there, away, and back."""

    def __init__(self, loop: Loop, on_stage: Stage) -> None:
        self._loop = loop
        self._stage = on_stage
        self._rooms = range((len(on_stage.handshakes) + ROOM - 1) // ROOM)
        self._sent = 0
        self._last: dict[int, bytes] = {}
        self._took: list[float] = []
        self._welcomes: list[Any] = []

    def meet(self) -> None:
        """Connect all, let each have a message, and cut them off."""
        crowd = Crowd(
            self._loop,
            marker=b'42["new-message"',
            on_hits=lambda _client, _hits: None,
            on_payload=self._keep,
        )
        crowd.open(self._stage.server.port, self._stage.handshakes)
        self.miss(1)
        self._loop.until(
            lambda: len(self._last) == len(crowd.clients), within_s=30, what="a message for everybody"
        )
        self._welcomes = [json.loads(client.welcome[2:]) for client in crowd.clients]
        crowd.close()

    def miss(self, count: int) -> None:
        """So many messages to every room."""
        requests = [self._stage.post(room, self._sent + n) for n in range(count) for room in self._rooms]
        fetch_all(self._stage.server.port, requests)
        self._sent += count

    def come_back(self, missed: int) -> Figures:
        """All at once; times count from the moment in which the first one tries.

        Raises:
            BenchError: a client was taken for a new one, or got something else than what it missed.
        """
        server = self._stage.server
        handshakes = [self._returning(number) for number in range(len(self._welcomes))]

        def heard(client: Client, hits: int) -> None:
            if client.seen == missed:
                self._took.append(time.perf_counter() - start)

        crowd = Crowd(self._loop, marker=b'42["new-message"', on_hits=heard)
        cpu, start = server.cpu_s(), time.perf_counter()
        try:
            crowd.open(server.port, handshakes, window=len(handshakes))
            self._loop.until(
                lambda: len(self._took) == len(handshakes),
                within_s=60,
                what=f"what was missed ({len(self._took)} of {len(handshakes)} have it)",
            )
            spent = server.cpu_s() - cpu
            self._check(crowd, missed)
        finally:
            crowd.close()
        events = missed * len(handshakes)
        return {
            **latency(self._took, "back_"),
            "all_back_ms": max(self._took) * 1e3,
            "cpu_us_per_event": spent / events * 1e6,
            "events_per_s": events / max(self._took),
        }

    def _returning(self, number: int) -> Handshake:
        """As the client that it was, with the offset of the last event that it got."""
        (hello, _), *_ = self._stage.handshakes[number].steps
        offset = json.loads(self._last[number][2:])[-1]
        auth = {**json.loads(hello[2:]), "pid": self._welcomes[number]["pid"], "offset": offset}
        return socketio(json.dumps(auth).encode())

    def _check(self, crowd: Crowd, missed: int) -> None:
        for client, was in zip(crowd.clients, self._welcomes, strict=True):
            if json.loads(client.welcome[2:])["pid"] != was["pid"]:
                raise BenchError("a client was not taken for the same again")
            if client.seen != missed:
                raise BenchError(f"a client that missed {missed} events got {client.seen}")

    def _keep(self, client: Client, payload: bytes) -> None:
        self._last[client.number] = payload
