"""The platform that uses the gateway: its backend, which holds the API key, and its users, who hold session tokens."""

from __future__ import annotations

import uuid
from types import TracebackType
from typing import Any, TypeVar

import httpx2
import msgspec

from tests.support.contract import ErrorBody, Message, MessagePage, RoomDetail, RoomPage
from tests.support.inbox import PATIENCE_S

T = TypeVar("T")


class Rest:
    """An ordinary HTTP client with one credential. Paths are below ``/v1``."""

    def __init__(self, url: str, headers: dict[str, str], *, verify: Any = True) -> None:
        self.http = httpx2.Client(
            base_url=f"{url}/v1", headers=headers, timeout=PATIENCE_S, verify=verify, trust_env=False
        )

    def __enter__(self) -> Rest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.http.close()

    def request(self, method: str, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        if body is not None:
            options["json"] = body
        return self.http.request(method, path, **options)

    def get(self, path: str, **query: Any) -> httpx2.Response:
        return self.http.get(path, params=query)

    def post(self, path: str, body: Any, **headers: str) -> httpx2.Response:
        """``headers``: names with underscores for dashes."""
        return self.http.post(
            path, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )


def read(answer: httpx2.Response, kind: type[T]) -> T:
    """A successful answer's body, cast as strictly as the strictest client does.

    Raises:
        AssertionError: not a success, not JSON in UTF-8 by its own word, or not of this shape.
    """
    assert answer.is_success, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.ValidationError as error:
        raise AssertionError(f"{error}: {answer.text}") from error


def refusal(answer: httpx2.Response, status: int) -> ErrorBody:
    """An error answer, of the one shape that clients can read (D4)."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    body = msgspec.json.decode(answer.content, type=ErrorBody)
    assert body.status_code == status
    assert body.error == body.message
    return body


class Person:
    """A user of the platform with a session token; ``rest`` acts as that user."""

    def __init__(self, url: str, user_id: str, token: str, *, verify: Any = True) -> None:
        self.url = url
        self.id = user_id
        self.token = token
        self.auth = {"token": token}
        self.rest = Rest(url, {"Authorization": f"Bearer {token}"}, verify=verify)

    def send(self, room_id: str, text: str, **more: Any) -> Message:
        body = {"senderId": self.id, "parts": [{"type": "text", "text": text}], **more}
        return read(self.rest.post(f"/chat/rooms/{room_id}/messages", body), Message)

    def read_up_to(self, room_id: str, message_id: str | None = None) -> dict[str, Any]:
        body = {"userId": self.id, "lastReadMessageId": message_id}
        return read(self.rest.post(f"/chat/rooms/{room_id}/read", body), dict[str, Any])

    def rooms(self, **query: Any) -> RoomPage:
        return read(self.rest.get("/chat/rooms", **query), RoomPage)

    def messages(self, room_id: str, **query: Any) -> MessagePage:
        return read(self.rest.get(f"/chat/rooms/{room_id}/messages", **query), MessagePage)

    def history(self, room_id: str, *, limit: int = 100) -> list[Message]:
        """Every message of a room, oldest first, by following the cursor."""
        messages: list[Message] = []
        query: dict[str, Any] = {"limit": limit}
        while True:
            page = self.messages(room_id, **query)
            messages += page.messages
            if page.next_cursor is None:
                return messages[::-1]
            query["cursor"] = page.next_cursor


class Platform:
    """The backend of one tenant. Closing it closes what it and its people opened."""

    def __init__(self, url: str, api_key: str, *, verify: Any = True) -> None:
        self.url = url
        self.api_key = api_key
        self._verify = verify
        self._people: list[Person] = []
        self.rest = Rest(url, {"x-api-key": api_key}, verify=verify)

    def close(self) -> None:
        for person in self._people:
            person.rest.close()
        self.rest.close()

    def person(self, name: str, *, expires_in_s: int | None = None) -> Person:
        """A new user; ids are never reused, so that tests may share a tenant."""
        user_id = f"{name}-{uuid.uuid4().hex[:12]}"
        read(self.rest.post("/users", {"id": user_id, "username": name.title()}), dict[str, Any])
        return self.again(user_id, expires_in_s=expires_in_s)

    def again(self, user_id: str, *, expires_in_s: int | None = None) -> Person:
        """An existing user with a token of another mint, as after another login."""
        person = Person(self.url, user_id, self.mint(user_id, expires_in_s)["token"], verify=self._verify)
        self._people.append(person)
        return person

    def at(self, url: str, person: Person) -> Person:
        """The same person with the same token, who asks another gateway."""
        there = Person(url, person.id, person.token, verify=self._verify)
        self._people.append(there)
        return there

    def mint(self, user_id: str, expires_in_s: int | None = None) -> dict[str, Any]:
        body = {"userId": user_id} | ({} if expires_in_s is None else {"expiresIn": expires_in_s})
        return read(self.rest.post("/auth/token", body), dict[str, Any])

    def room(self, *people: Person, **fields: Any) -> RoomDetail:
        body = {"participants": [{"id": person.id} for person in people], **fields}
        return read(self.rest.post("/chat/rooms", body), RoomDetail)
