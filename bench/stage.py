"""A crowd's view of one server: how clients come in, what sends a message to all of them, what asks for an echo."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from bench.contest import GATEWAY, Options
from bench.gateway import bare_environment, platform, post_message
from bench.peers import PEERS, Peer, command
from bench.server import Server, free_port, running
from bench.websocket import Handshake, socketio


@dataclass(frozen=True, slots=True)
class Stage:
    """A started server and the clients that may come.

    Attributes:
        handshakes: how each of them comes in.
        post: the HTTP request that sends the n-th message to a room, by its number.
        typing: payload of client ``c``'s n-th small event, to be answered at once.
        answer: beginning of that answer's payload.
    """

    server: Server
    handshakes: list[Handshake]
    post: Callable[[int, int], bytes]
    typing: Callable[[int, int], bytes]
    answer: bytes


def stage(
    name: str, options: Options, *, sessions: int, room: int, join: bool
) -> AbstractContextManager[Stage]:
    """Start ``name`` for ``sessions`` users, each with one session, in rooms of ``room``.

    Args:
        join: whether clients of the gateway make their room the active one, as an open thread does; messages reach
            them without it.
    """
    if name == GATEWAY:
        return _gateway(options, sessions, room, join)
    return _peer(PEERS[name], options, sessions, room)


@contextlib.contextmanager
def _gateway(options: Options, sessions: int, room: int, join: bool) -> Iterator[Stage]:
    users = [f"user-{number:05d}" for number in range(sessions)]
    with platform(options) as backend:
        rooms = backend.create_rooms([users[first : first + room] for first in range(0, sessions, room)])
        tokens = backend.tokens(users)

        def handshake(number: int) -> Handshake:
            payload = json.dumps({"token": tokens[number]}).encode()
            if not join:
                return socketio(payload)
            wanted = json.dumps({"roomId": rooms[number // room], "userId": users[number]})
            return socketio(payload, (f'42["join-room",{wanted}]'.encode(), b'42["joined-room"'))

        def post(place: int, number: int) -> bytes:
            members = range(place * room, min((place + 1) * room, sessions))
            sender = members[number % len(members)]
            return post_message(rooms[place], tokens[sender], users[sender], number)

        yield Stage(
            backend.server,
            [handshake(number) for number in range(sessions)],
            post,
            lambda c, n: _typing(rooms[c // room], users[c], n),
            b"43",
        )


@contextlib.contextmanager
def _peer(peer: Peer, options: Options, sessions: int, room: int) -> Iterator[Stage]:
    rooms = [str(uuid.uuid4()) for _ in range(0, sessions, room)]
    with started(peer, options) as server:
        if peer.speaks == "socketio":
            handshakes = [
                socketio(json.dumps({"room": rooms[number // room]}).encode()) for number in range(sessions)
            ]
        else:
            handshakes = [Handshake("/", b"0")] * sessions
        yield Stage(
            server,
            handshakes,
            lambda place, n: post_message(rooms[place], "none", "user-00000", n),
            lambda c, n: _typing(rooms[c // room], f"user-{c:05d}", n),
            b"43" if peer.speaks == "socketio" else b"42",
        )


def started(peer: Peer, options: Options, *arguments: str) -> AbstractContextManager[Server]:
    """A peer, running.

    Raises:
        BenchError: it cannot be installed, or did not start.
    """
    port = free_port()
    folder = Path(mkdtemp(prefix=f"{peer.name}-", dir=options.scratch))
    return running(
        peer.name,
        [*command(peer), str(port), *arguments],
        port=port,
        cores=options.server_cores,
        log=folder / "peer.log",
        environment=bare_environment(),
    )


def _typing(room_id: str, user_id: str, number: int) -> bytes:
    """A small event with an ack id of one digit, now ``true``, now ``false``, so that each one changes something."""
    is_typing = "false" if number % 2 else "true"
    payload = f'{{"roomId":"{room_id}","userId":"{user_id}","isTyping":{is_typing}}}'
    return f'42{number % 10}["typing",{payload}]'.encode()
