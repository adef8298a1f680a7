"""People who ask things of a gateway that has a past: what sending, reading, listing and searching cost it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence

from bench.contest import Options
from bench.gateway import Platform, platform, post_message
from bench.loop import Loop
from bench.rest import Load, request
from bench.seeding import Past

PEOPLE_WHO_ASK = 500
"""Of whom requests come, however many there are."""

CONNECTIONS = 10
"""For requests, each with one on its way."""


@contextlib.contextmanager
def asking(past: Past, options: Options) -> Iterator[Asked]:
    """The gateway with this past, and people who ask things of it."""
    with platform(options, tenant=past.tenant) as backend, contextlib.ExitStack() as stack:
        loop = Loop()
        stack.callback(loop.close)
        yield Asked(loop, backend, past, options)


class Asked:
    """What each kind of request costs, in µs of the gateway's processor time.

    Each is measured with ten requests on their way, of random people of the past.
    """

    def __init__(self, loop: Loop, backend: Platform, past: Past, options: Options) -> None:
        self._loop = loop
        self._server = backend.server
        self._past = past
        self._options = options
        self._chance = random.Random(1)
        self._rooms: dict[str, list[int]] = {}
        for place, roster in enumerate(past.rosters):
            for user_id in roster:
                self._rooms.setdefault(user_id, []).append(place)
        users = sorted(self._rooms)
        self._users = self._chance.sample(users, min(PEOPLE_WHO_ASK, len(users)))
        self._tokens = dict(zip(self._users, backend.tokens(self._users), strict=True))
        self._number = 0

    def sending(self) -> float:
        return self._cost(self._message)

    def reading(self) -> float:
        return self._cost(
            lambda user_id: self._get(user_id, f"/chat/rooms/{self._room(user_id)}/messages?limit=50")
        )

    def listing(self) -> float:
        return self._cost(lambda user_id: self._get(user_id, "/chat/rooms?limit=50"))

    def searching(self, words: Sequence[str]) -> float:
        def search(user_id: str) -> bytes:
            return self._get(user_id, f"/chat/search?scope=messages&q={self._chance.choice(words)}")

        return self._cost(search)

    def memory_mb(self) -> float:
        """The gateway's proportional set size."""
        return self._server.memory_kb()[1] / 1024

    def _message(self, user_id: str) -> bytes:
        self._number += 1
        return post_message(self._room(user_id), self._tokens[user_id], user_id, self._number)

    def _room(self, user_id: str) -> str:
        return self._past.rooms[self._chance.choice(self._rooms[user_id])]

    def _get(self, user_id: str, path: str) -> bytes:
        return request("GET", f"/v1{path}", headers={"Authorization": f"Bearer {self._tokens[user_id]}"})

    def _cost(self, make: Callable[[str], bytes]) -> float:
        load = Load(
            self._loop, [self._server.port], CONNECTIONS, lambda _: make(self._chance.choice(self._users))
        )
        try:
            load.saturate(self._options.warm_up_s)
            with self._server.metering() as spent:
                load.saturate(self._options.seconds)
            return spent.server_s / len(load.latencies) * 1e6
        finally:
            load.close()
