"""The platform's backend: what it asks of the gateway with its API key, before and during a run."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

AT_ONCE = 16
TIMEOUT_S = 60.0


class LoadError(Exception):
    """The run cannot begin or go on; the message is one sentence for the person who started it."""


@dataclass(frozen=True, slots=True)
class Person:
    """One user of a run.

    Attributes:
        rooms: the ids of the rooms that he is in.
    """

    id: str
    rooms: tuple[str, ...]


class Platform:
    """
    Args:
        url: of the gateway, as its clients know it.
    """

    def __init__(self, url: str, api_key: str) -> None:
        parts = urlsplit(url if "//" in url else f"//{url}", scheme="http")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise LoadError(f"not an address of a gateway: {url}")
        self.secure = parts.scheme == "https"
        self.host = parts.hostname
        self.port = parts.port or (443 if self.secure else 80)
        self.url = f"{parts.scheme}://{parts.hostname}:{self.port}"
        self.headers = {"x-api-key": api_key}
        self._connections = threading.local()

    def fill(self, run: str, rosters: Sequence[Sequence[int]], users: int) -> list[Person]:
        """Make the rooms of a run, with the people in them.

        Args:
            run: what every id of the run begins with.
            rosters: who is in each room, by number.

        Raises:
            LoadError: the gateway refused, or is not there.
        """
        ids = [f"{run}-{number:05d}" for number in range(users)]
        # With usernames, each of them is a user even if he is in no room.
        self._post_all("/v1/users", [{"id": user_id, "username": user_id} for user_id in ids])
        rooms = self._post_all(
            "/v1/chat/rooms",
            [
                {
                    "externalId": f"{run}-room-{number}",
                    "name": f"Room {number}",
                    "participants": [{"id": ids[member]} for member in roster],
                }
                for number, roster in enumerate(rosters)
            ],
        )
        found: list[list[str]] = [[] for _ in ids]
        for room, roster in zip(rooms, rosters, strict=True):
            for member in roster:
                found[member].append(room["id"])
        return [Person(user_id, tuple(mine)) for user_id, mine in zip(ids, found, strict=True)]

    def tokens(self, people: Sequence[Person]) -> list[str]:
        """A session token for each, good for a day."""
        bodies = [{"userId": person.id, "expiresIn": 86_400} for person in people]
        return [minted["token"] for minted in self._post_all("/v1/auth/token", bodies)]

    def _post_all(self, path: str, bodies: Sequence[Any]) -> list[Any]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda body: self._post(path, body), bodies))

    def _post(self, path: str, body: Any) -> Any:
        connection = getattr(self._connections, "mine", None)
        if connection is None:
            kind = HTTPSConnection if self.secure else HTTPConnection
            connection = self._connections.mine = kind(self.host, self.port, timeout=TIMEOUT_S)
        try:
            headers = {**self.headers, "content-type": "application/json"}
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException) as error:
            raise LoadError(f"{self.url} cannot be reached: {error}") from error
        if not 200 <= answer.status < 300:
            raise LoadError(
                f"POST {path} was answered {answer.status}: {content[:200].decode(errors='replace')}"
            )
        return json.loads(content)
