"""Everybody at once: a crowd connects in one moment, is held, is cut off, and comes back in one moment.

Clients are in rooms of ten, with their room open; somebody in some of the rooms watches who is shown online. Half of those
cut off are lost to the server, too; of the others it learns only when they come back. Each shows its ``pid``, as the
published clients do. A client that is lost, or a user who is shown offline and is not, fails the case.
"""

from __future__ import annotations

import contextlib
import errno
import json
import select
import socket
import time
from collections.abc import Sequence

from bench.contest import Measured, Options, compete
from bench.gateway import Platform, platform
from bench.loop import LOCAL, BenchError, Loop
from bench.report import Figures, Report, latency
from bench.websocket import Client, Crowd, Handshake, frame, socketio

PEERS: tuple[str, ...] = ()
CLIENTS = (10_000,)
ROUNDS = 1
ROOM = 10
WATCHERS = 20
WITHIN_S = 60.0
PING_S = 5.0
"""Shorter than by default, so that everybody has had two when the crowd has been held."""

GRACE_S = 4.0


def run(options: Options) -> Report:
    report = Report("storm", "last_ms", "ms until the last client is in", also=("in_p99_ms",))
    sizes = options.sessions or ((40,) if options.quick else CLIENTS)
    compete(report, options, options.chosen(PEERS), sizes, lambda _, count: _measure(count, options))
    return report


def _measure(clients: int, options: Options) -> Measured:
    with contextlib.ExitStack() as stack:
        ping_s = 0.5 if options.quick else PING_S
        environment = {
            "GATEWAY_PRESENCE_SCOPE": "auto",  # as it is by default
            "GATEWAY_PRESENCE_GRACE_S": str(GRACE_S),
            "GATEWAY_SOCKET_PING_INTERVAL_MS": str(round(ping_s * 1000)),
        }
        backend = stack.enter_context(platform(options, environment=environment))
        loop = Loop()
        stack.callback(loop.close)
        storm = Storm(loop, backend, clients)
        stack.callback(storm.close)
        for part, act in (
            ("connect", storm.connect),
            ("held", lambda: storm.hold(ping_s)),
            ("come back", storm.come_back),
        ):
            if not options.only or part in options.only:
                yield f"{clients} {part}", act()


class Storm:
    """The crowd, and who watches it."""

    def __init__(self, loop: Loop, backend: Platform, clients: int) -> None:
        self._figures: Figures = {}  # of the last time that everybody came in
        self._loop = loop
        self._server = backend.server
        self._users = [f"user-{number:05d}" for number in range(clients)]
        places = range(0, clients, ROOM)
        watchers = [f"watcher-{number:02d}" for number in range(min(WATCHERS, len(places)))]
        rosters = [self._users[first : first + ROOM] for first in places]
        self._rooms = backend.create_rooms(
            [[*roster, *watchers[place : place + 1]] for place, roster in enumerate(rosters)]
        )
        self._watched = {user for roster in rosters[: len(watchers)] for user in roster}
        self._tokens = backend.tokens(self._users)
        self._shown: list[tuple[str, bool]] = []
        self._crowd = self._new_crowd()
        self._left: list[Crowd] = []
        self._came: dict[int, float] = {}
        self._began = 0.0
        self._watchers = Crowd(
            loop,
            marker=b'42["tenant-presence",',
            on_hits=lambda _client, _hits: None,
            on_payload=self._note,
        )
        self._watchers.open(
            self._server.port,
            [socketio(json.dumps({"token": token}).encode()) for token in backend.tokens(watchers)],
        )

    def _new_crowd(self) -> Crowd:
        return Crowd(self._loop, marker=b'42["presence-snapshot"', on_hits=self._is_in)

    def _note(self, _client: Client, payload: bytes) -> None:
        delta = json.loads(payload[2:])[1]
        self._shown.append((delta["userId"], delta["online"]))

    def _is_in(self, client: Client, _hits: int) -> None:
        self._came.setdefault(client.number, time.perf_counter() - self._began)

    def connect(self) -> Figures:
        """Everybody, from nowhere.

        Raises:
            BenchError: somebody did not get in, or was not shown online to those who watch.
        """
        figures = self._rush([self._handshake(number, {}) for number in range(len(self._users))])
        self._loop.until(
            lambda: self._watched <= {user for user, online in self._shown if online},
            within_s=WITHIN_S,
            what="everybody shown online",
        )
        self._nobody_offline()
        return figures

    def come_back(self) -> Figures:
        """Everybody, cut off a moment ago.

        Raises:
            BenchError: somebody was not taken for the one he was, or was shown offline.
        """
        were = [json.loads(client.welcome[2:])["pid"] for client in self._crowd.clients]
        self._left.append(self._crowd)
        self._crowd.on_hits = lambda _client, _hits: None
        self._crowd.on_lost = lambda client, _why: client.close()
        for client in self._crowd.clients[::2]:
            client.close()
        self._crowd = self._new_crowd()
        handshakes = [self._handshake(number, {"pid": pid}) for number, pid in enumerate(were)]
        figures = self._rush(handshakes)
        self._loop.quiet(for_s=GRACE_S + 1, within_s=GRACE_S + 1)
        self._nobody_offline()
        are = [json.loads(client.welcome[2:])["pid"] for client in self._crowd.clients]
        if are != were:
            raise BenchError("a client was not taken for the same again")
        return figures

    def hold(self, ping_s: float) -> Figures:
        """Keep everybody until each has had two pings.

        Raises:
            BenchError: somebody was lost, has had none, or was shown offline.
        """
        pings = 0

        def pong(client: Client, hits: int) -> None:
            nonlocal pings
            pings += hits
            client.send(frame(b"3"))

        crowd = self._crowd
        crowd.marker, crowd.on_hits = b"2", pong
        seconds = 2.2 * ping_s
        with self._server.metering() as spent:
            deadline = time.perf_counter() + seconds
            while (now := time.perf_counter()) < deadline:
                self._loop.turn(deadline - now)
        if pings < 2 * len(crowd.clients):
            raise BenchError(f"{pings} pings to {len(crowd.clients)} clients in {seconds:g} s")
        self._nobody_offline()
        rss, _ = self._server.memory_kb()
        return {
            "clients": len(crowd.clients),
            **self._figures,
            "server_busy": spent.server_s / spent.wall_s,
            "server_rss_mb": rss / 1024,
        }

    def _nobody_offline(self) -> None:
        if gone := [user for user, online in self._shown if not online]:
            raise BenchError(f"{len(gone)} were shown offline and are not, {gone[0]} first")

    def _handshake(self, number: int, shown: dict[str, str]) -> Handshake:
        auth = json.dumps({"token": self._tokens[number], **shown}).encode()
        room = self._rooms[number // ROOM]
        if shown:
            return socketio(auth)  # finds its room open
        wanted = json.dumps({"roomId": room, "userId": self._users[number]})
        return socketio(auth, (f'42["join-room",{wanted}]'.encode(), b'42["joined-room"'))

    def _rush(self, handshakes: Sequence[Handshake]) -> Figures:
        """All in this moment; times count from it, for a client until it has been told who else is in its room."""
        self._came = {}
        arrivals = select.epoll()
        port, crowd = self._server.port, self._crowd
        waiting: dict[int, tuple[int, socket.socket]] = {}
        clients: dict[int, Client] = {}
        with arrivals, self._server.metering() as spent:
            self._began = time.perf_counter()
            deadline = self._began + WITHIN_S
            for number in range(len(handshakes)):
                sock = _knock(port)
                waiting[sock.fileno()] = number, sock
                arrivals.register(sock, select.EPOLLOUT)
            while len(self._came) < len(handshakes):
                for descriptor, _ in arrivals.poll(0, 256) if waiting else ():
                    number, sock = waiting.pop(descriptor)
                    arrivals.unregister(sock)
                    clients[number] = Client(crowd, number, port, handshakes[number], sock)
                self._loop.turn(0.001 if waiting else 0.05)
                if time.perf_counter() > deadline:
                    raise BenchError(f"{len(self._came)} of {len(handshakes)} were in after {WITHIN_S:g} s")
        crowd.clients.extend(clients[number] for number in sorted(clients))
        self._figures = {
            "last_ms": max(self._came.values()) * 1e3,
            **latency(self._came.values(), "in_"),
            "cpu_us_per_client": spent.server_s / len(handshakes) * 1e6,
            "driver_busy": spent.driver_busy,
        }
        return self._figures

    def close(self) -> None:
        for crowd in (*self._left, self._crowd, self._watchers):
            crowd.close()


def _knock(port: int) -> socket.socket:
    """A socket that is about to be connected; it is writable when it is."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    error = sock.connect_ex((LOCAL, port))
    if error not in (0, errno.EINPROGRESS):
        raise BenchError(f"cannot connect: {errno.errorcode[error]}")
    return sock
