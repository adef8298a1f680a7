"""The platform's side of a schedule: REST as an app uses it that never gives up."""

from __future__ import annotations

import random
from typing import Any
from uuid import uuid4

import httpx2
import trio

from tests.history.records import Change, History, Send, Stored, Visit

ANSWER_S = 1.0
"""How long an app waits for an answer before it asks again."""

AGAIN_S = (0.02, 0.25)

PAGE = 100

UNKNOWN = {503}
"""Answers that leave open whether it was done."""


class Asker:
    """REST with one credential, over a line that may break. Closed by whoever opened it.

    Args:
        history: where it says what nobody expects.
    """

    def __init__(self, url: str, headers: dict[str, str], *, history: History, chance: random.Random) -> None:
        self._history = history
        self._chance = chance
        self._http = httpx2.AsyncClient(
            base_url=f"{url}/v1", headers=headers, timeout=ANSWER_S, trust_env=False
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    async def ask(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, **query: Any
    ) -> tuple[int, Any]:
        """The first answer that is one, its status and body.

        Args:
            key: of idempotency, for what a request that was given up must not do again when it is served late.
        """
        headers = {} if key is None else {"Idempotency-Key": key}
        while True:
            try:
                answer = await self._http.request(method, path, json=body, params=query, headers=headers)
            except httpx2.TransportError:
                pass
            else:
                if answer.status_code not in UNKNOWN:
                    if answer.status_code >= 500:
                        self._history.strange.append(f"{method} {path}: {answer.status_code} {answer.text}")
                    return answer.status_code, answer.json()
            await trio.sleep(self._chance.uniform(*AGAIN_S))

    async def send(self, send: Send) -> None:
        """Have a message stored, and note as what it was acknowledged."""
        body = {
            "clientMessageId": send.client_id,
            "parts": [{"type": "text", "text": send.client_id}],
        }
        status, answer = await self.ask("POST", f"/chat/rooms/{send.room}/messages", body)
        if status not in (200, 201):
            self._history.strange.append(f"{send.client_id} was answered {status} {answer}")
            return
        send.ended = min(send.ended, trio.current_time())
        send.ids.append(answer["id"])

    async def edit(self, room: str, message_id: str) -> None:
        """Change a message of one's own."""
        parts = [{"type": "text", "text": f"edited at {trio.current_time()}"}]
        status, answer = await self.ask(
            "PATCH", f"/chat/rooms/{room}/messages/{message_id}", {"parts": parts}
        )
        if status != 200:
            self._history.strange.append(f"an edit was answered {status} {answer}")

    async def read(self, room: str, message_id: str) -> None:
        """Say that one has read so far."""
        status, answer = await self.ask("POST", f"/chat/rooms/{room}/read", {"lastReadMessageId": message_id})
        if status != 200:
            self._history.strange.append(f"a read mark was answered {status} {answer}")

    async def change(self, change: Change) -> None:
        """Let somebody into a room or remove him, and note when it was certain."""
        path, key = f"/chat/rooms/{change.room}/participants", uuid4().hex
        if change.joined:
            status, answer = await self.ask("POST", path, {"userId": change.user}, key=key)
        else:
            status, answer = await self.ask("DELETE", f"{path}/{change.user}", key=key)
        if status != 200:
            self._history.strange.append(f"{change} was answered {status} {answer}")
        change.ended = trio.current_time()

    async def messages(self, room: str) -> list[Stored] | None:
        """All messages of a room, oldest first; None for who is not in it."""
        found: list[Stored] = []
        query: dict[str, Any] = {"limit": PAGE}
        while True:
            status, page = await self.ask("GET", f"/chat/rooms/{room}/messages", **query)
            if status == 404:
                return None
            found += [Stored(message["id"], message["clientMessageId"]) for message in page["messages"]]
            if page["nextCursor"] is None:
                return found[::-1]
            query["cursor"] = page["nextCursor"]

    async def fetch(self, visit: Visit, rooms: list[str]) -> None:
        """What an app does when its session has begun anew."""
        for room in rooms:
            messages = await self.messages(room)
            if messages is not None:
                visit.fetched[room] = [message.id for message in messages]
