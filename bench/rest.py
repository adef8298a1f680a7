"""HTTP/1.1 clients on the driver's loop: keep-alive connections with one request in flight each."""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from bench.loop import LOCAL, BenchError, Loop, connect, send_all

OnAnswer: TypeAlias = Callable[["Connection", int, bytes], None]

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def request(method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"") -> bytes:
    """The bytes of a request with a JSON body, or none."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection:
    """One kept-alive connection; a request may be sent when the former is answered."""

    __slots__ = ("_buffer", "_loop", "_on_answer", "_sock", "began")

    def __init__(self, loop: Loop, port: int, on_answer: OnAnswer, *, host: str = LOCAL) -> None:
        self._loop = loop
        self._sock = connect(port, host=host)
        self._on_answer = on_answer
        self._buffer = b""
        self.began = 0.0
        loop.watch(self._sock, self._on_readable)

    def send(self, data: bytes, *, began: float) -> None:
        """Send a request; ``began`` is when its latency starts to count (a schedule may have wanted it earlier)."""
        self.began = began
        send_all(self._sock, data)

    def close(self) -> None:
        self._loop.forget(self._sock)

    def _on_readable(self) -> None:
        data = self._sock.recv(262_144)
        if not data:
            raise BenchError("the server closed a connection it should have kept")
        if self._buffer:
            data = self._buffer + data
        head = data.find(b"\r\n\r\n")
        length = _LENGTH.search(data, 0, head) if head >= 0 else None
        if head >= 0 and length is None:
            raise BenchError(f"an answer without Content-Length: {data[:200]!r}")
        if length is None or len(data) < head + 4 + int(length[1]):
            self._buffer = data
            return
        self._buffer = b""
        self._on_answer(self, int(data[9:12]), data[head + 4 :])


def fetch_all(port: int, requests: Iterable[bytes], *, connections: int = 16) -> list[bytes]:
    """Send all requests over a few connections, as fast as they are answered; the bodies, in order.

    Raises:
        BenchError: an answer was not a 2xx; the message has its beginning.
    """
    waiting = deque(enumerate(requests))
    bodies: list[bytes] = [b""] * len(waiting)
    numbers: dict[Connection, int] = {}

    def answered(connection: Connection, status: int, body: bytes) -> None:
        if not 200 <= status < 300:
            raise BenchError(f"set-up was answered {status}: {body[:200]!r}")
        bodies[numbers.pop(connection)] = body
        send_next(connection)

    def send_next(connection: Connection) -> None:
        if waiting:
            numbers[connection], data = waiting.popleft()
            connection.send(data, began=0.0)

    loop = Loop()
    pool = [Connection(loop, port, answered) for _ in range(min(connections, len(waiting)))]
    try:
        for connection in pool:
            send_next(connection)
        loop.until(lambda: not numbers, within_s=300, what="set-up requests")
    finally:
        for connection in pool:
            connection.close()
        loop.close()
    return bodies


def fetch(port: int, data: bytes) -> Any:
    """One request, its JSON answer."""
    return json.loads(fetch_all(port, [data])[0])


class Load:
    """Requests over a fixed set of connections, and the latency of each.

    Args:
        ports: of the servers, which the connections go to in turn.
        make: the next request, for the connection of this number.
    """

    def __init__(
        self, loop: Loop, ports: Sequence[int], connections: int, make: Callable[[int], bytes]
    ) -> None:
        self._loop = loop
        self._make = make
        self._pool = [
            Connection(loop, ports[number % len(ports)], self._answered) for number in range(connections)
        ]
        self._numbers = {connection: number for number, connection in enumerate(self._pool)}
        self._free: deque[Connection] = deque(self._pool)
        self._deadline = 0.0
        self._closed = False
        self.latencies: list[float] = []

    def _answered(self, connection: Connection, status: int, body: bytes) -> None:
        now = time.perf_counter()
        if not 200 <= status < 300:
            raise BenchError(f"answered {status}: {body[:200]!r}")
        self.latencies.append(now - connection.began)
        if self._closed and now < self._deadline:
            connection.send(self._make(self._numbers[connection]), began=now)
        else:
            self._free.append(connection)

    def saturate(self, seconds: float) -> float:
        """Each connection sends as soon as it is answered, for ``seconds``, then drains; how long that took."""
        self.latencies.clear()
        self._closed = True
        start = time.perf_counter()
        self._deadline = start + seconds
        while self._free:
            connection = self._free.popleft()
            connection.send(self._make(self._numbers[connection]), began=time.perf_counter())
        self._drain(seconds)
        return time.perf_counter() - start

    def schedule(self, seconds: float, per_s: float) -> float:
        """Requests at even intervals, whether or not earlier ones are answered; the moment of the first.

        Latency counts from the moment the schedule wanted the request sent, so a server that stalls is charged for all
        who would have come meanwhile.
        """
        self.latencies.clear()
        self._closed = False
        start = time.perf_counter()
        count = int(seconds * per_s)
        sent = 0
        while sent < count:
            due = start + sent / per_s
            now = time.perf_counter()
            if now >= due and self._free:
                connection = self._free.popleft()
                connection.send(self._make(self._numbers[connection]), began=due)
                sent += 1
            else:
                # Turning with no timeout keeps the schedule exact; a sleep would be late by the timer's slack.
                self._loop.turn(0)
                if now > start + seconds * 4 + 10:
                    raise BenchError(f"only {sent} of {count} scheduled requests could be sent")
        self._drain(seconds)
        return start

    def _drain(self, seconds: float) -> None:
        self._loop.until(
            lambda: len(self._free) == len(self._pool), within_s=seconds + 60, what="answers to all requests"
        )

    def close(self) -> None:
        for connection in self._pool:
            connection.close()
