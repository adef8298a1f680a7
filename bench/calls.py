"""Calls: from the start to ringing on 1 000 devices, and from the answer on one device to silence on the others.

A call is started in a room of 1 000 others, each online with one device, and ended when all of them ring. Another is started
to one user with ten devices; one answers, and is done when the other nine have stopped ringing. Both alone, and while 1 000
other calls ring. No peer has calls. In place of LiveKit stands a server that answers at once, on the driver's core.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from bench.contest import Measured, Options, compete
from bench.gateway import Platform, bare_environment, platform
from bench.loop import BenchError, Loop
from bench.report import Figures, Report, latency
from bench.rest import Connection, fetch_all, request
from bench.server import Server, free_port, running
from bench.websocket import Client, Crowd, socketio

PEERS = ()
DEVICES = 1_000
PHONES = 10
RINGING = 1_000
RING_S = 120
KEY, SECRET = "bench", "a secret of thirty-two bytes or more"


def run(options: Options) -> Report:
    report = Report("calls", "invite_p50_ms", "ms from the start of a call to a device that rings")
    devices = options.sessions or ((20,) if options.quick else (DEVICES,))
    compete(report, options, options.chosen(PEERS), devices, lambda _, count: _measure(count, options))
    return report


def _measure(devices: int, options: Options) -> Measured:
    ringing = 5 if options.quick else RINGING
    with contextlib.ExitStack() as stack:
        media = stack.enter_context(_media(options))
        settings = {
            "GATEWAY_LIVEKIT_URL": f"http://127.0.0.1:{media.port}",
            "GATEWAY_LIVEKIT_API_KEY": KEY,
            "GATEWAY_LIVEKIT_API_SECRET": SECRET,
            "GATEWAY_LIMITS_CALL_START_PER_S": "1000000",
            "GATEWAY_LIMITS_CALL_START_BURST": "1000000",
        }
        backend = stack.enter_context(platform(options, environment=settings))
        backend.change_settings({"calls": {"ringTimeoutSeconds": RING_S}})
        loop = Loop()
        stack.callback(loop.close)
        caller = Caller(loop, backend, devices)
        stack.callback(caller.close)
        others = Others(backend, ringing)
        for count in (0, ringing):
            if count:
                others.ring()
            caller.measure(options.warm_up_s)
            yield f"{devices} devices, {count} other calls ringing", caller.measure(options.seconds)
        others.check_still_ringing()


@contextlib.contextmanager
def _media(options: Options) -> Iterator[Server]:
    port = free_port()
    folder = Path(mkdtemp(prefix="media-", dir=options.scratch))
    argv = [sys.executable, "-m", "bench.media", str(port)]
    with running(
        "media server",
        argv,
        port=port,
        cores=options.driver_cores,
        log=folder / "media.log",
        environment=bare_environment(),
    ) as server:
        yield server


@dataclass(frozen=True, slots=True)
class Line:
    """A room, and the tokens of who starts calls in it and of who answers them."""

    room: str
    caller: str
    callee: str

    def request(self, path: str = "", *, token: str, body: bytes = b"{}") -> bytes:
        headers = {"Authorization": f"Bearer {token}"}
        return request("POST", f"/v1/chat/rooms/{self.room}/calls{path}", headers=headers, body=body)

    def start(self) -> bytes:
        return self.request(token=self.caller, body=b'{"type":"audio"}')


class Others:
    """Calls that ring and are not measured, between people who are not online."""

    def __init__(self, backend: Platform, count: int) -> None:
        rosters = [[f"other-{number}-a", f"other-{number}-b"] for number in range(count)]
        rooms = backend.create_rooms(rosters)
        tokens = backend.tokens([roster[0] for roster in rosters])
        self._port = backend.server.port
        self._lines = [Line(room, token, "") for room, token in zip(rooms, tokens, strict=True)]

    def ring(self) -> None:
        fetch_all(self._port, [line.start() for line in self._lines])

    def check_still_ringing(self) -> None:
        """Raises BenchError when the measurement took longer than they ring."""
        line = self._lines[0]
        headers = {"Authorization": f"Bearer {line.caller}"}
        ask = request("GET", f"/v1/chat/rooms/{line.room}/calls/active", headers=headers)
        if b'"ringing"' not in fetch_all(self._port, [ask])[0]:
            raise BenchError(f"the other calls stopped ringing, after {RING_S} s")


class Caller:
    """Everybody who is online, and calls to them, one after the other."""

    def __init__(self, loop: Loop, backend: Platform, devices: int) -> None:
        self._loop = loop
        self._server = backend.server
        everybody = [f"user-{number:05d}" for number in range(devices + 1)]
        crowded, alone = backend.create_rooms([everybody, ["caller", "callee"]])
        tokens = backend.tokens(everybody)
        caller, *phones = backend.tokens(["caller", *["callee"] * PHONES])
        self._crowded = Line(crowded, tokens[0], "")
        self._alone = Line(alone, caller, phones[0])
        self._heard: dict[bytes, list[float]] = {}
        self._crowd = Crowd(
            loop, marker=b'42["call-', on_hits=lambda _client, _hits: None, on_payload=self._hear
        )
        self._devices, self._phones = devices, PHONES
        joining = [*tokens[1:], *phones]
        self._crowd.open(
            self._server.port, [socketio(json.dumps({"token": token}).encode()) for token in joining]
        )
        self._connection = Connection(loop, self._server.port, self._answered)
        self._answer: Any = None

    def measure(self, seconds: float) -> Figures:
        """Calls for so long, half of the time of each kind."""
        rings, all_ring, answered, silenced = [], [], [], []
        cpu = self._server.cpu_s()
        until = time.perf_counter() + seconds / 2
        while time.perf_counter() < until:
            began, call = self._ask(self._crowded.start())
            answered.append(time.perf_counter() - began)
            rung = self._wait(b'42["call-invite"', self._devices)
            rings += [moment - began for moment in rung]
            all_ring.append(max(rung) - began)
            self._ask(self._crowded.request(f"/{call['id']}/end", token=self._crowded.caller))
            self._wait(b'42["call-ended"', self._devices)
        spent = self._server.cpu_s() - cpu
        until = time.perf_counter() + seconds / 2
        while time.perf_counter() < until:
            _, call = self._ask(self._alone.start())
            self._wait(b'42["call-invite"', self._phones)
            began, _ = self._ask(self._alone.request(f"/{call['id']}/accept", token=self._alone.callee))
            silenced += [moment - began for moment in self._wait(b'42["call-ended"', self._phones - 1)]
            self._wait(b'42["call-accepted"', self._phones)
            self._ask(self._alone.request(f"/{call['id']}/end", token=self._alone.caller))
            self._wait(b'42["call-ended"', self._phones)
        return {
            **latency(rings, "invite_"),
            **latency(all_ring, "last_invite_"),
            **latency(answered, "start_"),
            **latency(silenced, "silenced_"),
            "cpu_us_per_device": spent / len(rings) * 1e6,
            "calls": len(all_ring),
        }

    def _hear(self, _client: Client, payload: bytes) -> None:
        event = payload[: payload.index(b'"', 4) + 1]
        self._heard.setdefault(event, []).append(time.perf_counter())

    def _wait(self, event: bytes, count: int) -> list[float]:
        """When each device heard of it."""
        heard = self._heard.setdefault(event, [])
        self._loop.until(
            lambda: len(heard) >= count, within_s=30, what=f"{event.decode()} on {count} devices"
        )
        return self._heard.pop(event)

    def _ask(self, data: bytes) -> tuple[float, Any]:
        """When it was sent, and the call that was answered."""
        self._answer = None
        began = time.perf_counter()
        self._connection.send(data, began=began)
        self._loop.until(lambda: self._answer is not None, within_s=30, what="an answer about a call")
        return began, self._answer

    def _answered(self, _connection: Connection, status: int, body: bytes) -> None:
        if not 200 <= status < 300:
            raise BenchError(f"a call was answered {status}: {body[:200]!r}")
        answer = json.loads(body)
        self._answer = answer.get("call", answer)

    def close(self) -> None:
        self._connection.close()
        self._crowd.close()
