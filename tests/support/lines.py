"""People who call each other, by REST."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2

from tests.support.platform import Person, Platform, read


class Line:
    """Some people and the room they call each other in.

    Args:
        others: further people beside Ann and Bob.
        urls: of the gateways that one after the other of them uses; the platform's if there is none.
    """

    def __init__(self, platform: Platform, *others: str, urls: Sequence[str] = ()) -> None:
        self.people = [platform.person(name) for name in ("ann", "bob", *others)]
        self.room_id = platform.room(*self.people).id
        if urls:
            self.people = [
                platform.at(urls[number % len(urls)], person) for number, person in enumerate(self.people)
            ]
        self.ann, self.bob = self.people[:2]

    def ask(self, person: Person, path: str = "") -> httpx2.Response:
        return person.rest.post(f"/chat/rooms/{self.room_id}/calls{path}", {})

    def start(self, person: Person) -> dict[str, Any]:
        call: dict[str, Any] = read(self.ask(person), dict[str, Any])["call"]
        return call

    def talk(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The call that all are in now, and how each enters its media room: ``url`` and ``token``."""
        started = read(self.ask(self.ann), dict[str, Any])
        call: dict[str, Any] = started["call"]
        path = f"/{call['id']}/accept"
        accepted = [read(self.ask(person, path), dict[str, Any]) for person in self.people[1:]]
        return call, [answer["livekit"] for answer in (started, *accepted)]

    def live(self, person: Person | None = None) -> dict[str, Any]:
        """The call in the room, as Ann or another is told of it."""
        answer = (person or self.ann).rest.get(f"/chat/rooms/{self.room_id}/calls/active")
        call: dict[str, Any] = read(answer, dict[str, Any])["call"]
        return call

    def outcomes(self) -> list[str]:
        """Of the call logs in the room, oldest first."""
        found: list[str] = []
        query: dict[str, Any] = {"limit": 100}
        while True:
            path = f"/chat/rooms/{self.room_id}/messages"
            page = read(self.ann.rest.get(path, **query), dict[str, Any])
            parts = [part for message in page["messages"] for part in message["parts"]]
            found += [part["data"]["outcome"] for part in parts if part["type"] == "data-call"]
            if page["nextCursor"] is None:
                return found[::-1]
            query["cursor"] = page["nextCursor"]


def at_once(*asks: Callable[[], httpx2.Response]) -> list[httpx2.Response]:
    """The answers to requests that are sent in the same moment."""
    barrier = threading.Barrier(len(asks))

    def send(ask: Callable[[], httpx2.Response]) -> httpx2.Response:
        barrier.wait()
        return ask()

    with ThreadPoolExecutor(len(asks)) as threads:
        return list(threads.map(send, asks))
