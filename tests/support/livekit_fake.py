"""A LiveKit without media: tokens, rooms and webhooks as the real server (1.13) has them, and faults to order.

``FakeLiveKit`` is the server's state and rules; ``InProcess`` carries requests to it inside one process, and
``serve`` puts it behind a real port, where it also sends its webhooks.
"""

from __future__ import annotations

import base64
import hashlib
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx2
import jwt
import msgspec
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from livekit.api import AccessToken, TokenVerifier, VideoGrants
from livekit.protocol import models, room, webhook

PROTOBUF = "application/protobuf"
KEY, SECRET = "devkey", "a secret of thirty-two bytes or more"


class Refused(Exception):
    """A client is not let in."""


@dataclass
class FakeRoom:
    max_participants: int
    present: dict[str, str] = field(default_factory=dict)  # identity to sid


@dataclass(frozen=True)
class Webhook:
    """One, signed and ready to send."""

    event: str
    room: str
    identity: str
    body: bytes
    authorization: str


class _Refusal(Exception):
    def __init__(self, status: int, code: str | None = None, text: str = "") -> None:
        self.status, self.code, self.text = status, code, text


class FakeLiveKit:
    """
    Attributes:
        rooms: by name.
        asked: the methods that were called, in order, with the ids that their requests carried.
        looked: when it was asked who is in a room (monotonic), by its name.
        webhooks: all that were made, sent or not.
        on_webhook: is handed each.
        failing: how many further requests are answered 503; ``away``: none reaches it at all.
    """

    def __init__(self, *, key: str = KEY, secret: str = SECRET) -> None:
        self.key, self.secret = key, secret
        self.rooms: dict[str, FakeRoom] = {}
        self.asked: list[tuple[str, str]] = []
        self.looked: dict[str, list[float]] = {}
        self.webhooks: list[Webhook] = []
        self.on_webhook: Callable[[Webhook], None] = lambda webhook: None
        self.failing = 0
        self.away = False
        self._lock = threading.RLock()

    # --- what clients do ---------------------------------------------------------------------------------

    def join(self, token: str) -> tuple[str, str]:
        """Connect as the owner of this token; answers the room and the identity.

        Raises:
            Refused: the token is not good, or there is no such room, or it is full.
        """
        with self._lock:
            try:
                claims = TokenVerifier(self.key, self.secret).verify(token)
            except jwt.PyJWTError as error:
                raise Refused(str(error)) from error
            grants = claims.video
            if grants is None or not grants.room_join or not claims.identity:
                raise Refused("no grant to join")
            target = self.rooms.get(grants.room)
            if target is None:
                raise Refused("no such room")
            if claims.identity in target.present:
                self._gone(grants.room, claims.identity)
            elif len(target.present) >= (target.max_participants or 1_000):
                raise Refused("the room is full")
            target.present[claims.identity] = f"PA_{uuid.uuid4().hex[:12]}"
            self._notify("participant_joined", grants.room, claims.identity, target.present[claims.identity])
            return grants.room, claims.identity

    def leave(self, name: str, identity: str) -> None:
        """The client disconnects, or LiveKit has given it up."""
        with self._lock:
            self._gone(name, identity)

    def present(self, name: str) -> set[str]:
        with self._lock:
            return set(self.rooms[name].present) if name in self.rooms else set()

    def restart(self) -> None:
        """All rooms are lost, and nobody is told."""
        with self._lock:
            self.rooms.clear()

    # --- what the gateway asks ---------------------------------------------------------------------------

    def handle(self, path: str, headers: Any, body: bytes) -> tuple[int, str, bytes]:
        """Status, content type and body of the answer to one POST."""
        with self._lock:
            method = path.rsplit("/", 1)[1]
            self.asked.append((method, headers.get("x-livekit-request-id", "")))
            if self.failing:
                self.failing -= 1
                return 503, "text/plain", b"no healthy upstream"
            try:
                answer = self._answer(method, headers.get("authorization", ""), body)
            except _Refusal as refusal:
                if refusal.code is None:
                    return refusal.status, "text/plain", refusal.text.encode()
                text = msgspec.json.encode({"code": refusal.code, "msg": refusal.text})
                return refusal.status, "application/json", text
            return 200, PROTOBUF, answer.SerializeToString()

    def _answer(self, method: str, authorization: str, body: bytes) -> Message:
        token = authorization.removeprefix("Bearer ")
        grants = self._grants(token)
        match method:
            case "CreateRoom":
                self._need(grants.room_create)
                wish = room.CreateRoomRequest.FromString(body)
                self.rooms.setdefault(wish.name, FakeRoom(wish.max_participants))
                return models.Room(name=wish.name, max_participants=self.rooms[wish.name].max_participants)
            case "DeleteRoom":
                self._need(grants.room_create)
                self._close(room.DeleteRoomRequest.FromString(body).room)
                return room.DeleteRoomResponse()
            case "ListRooms":
                self._need(grants.room_list)
                names = room.ListRoomsRequest.FromString(body).names or list(self.rooms)
                found = [models.Room(name=name) for name in names if name in self.rooms]
                return room.ListRoomsResponse(rooms=found)
            case "ListParticipants":
                name = room.ListParticipantsRequest.FromString(body).room
                self._need(grants.room_admin and grants.room == name)
                self.looked.setdefault(name, []).append(time.monotonic())
                present = self.rooms[name].present if name in self.rooms else {}
                return room.ListParticipantsResponse(
                    participants=[
                        models.ParticipantInfo(identity=identity, sid=sid)
                        for identity, sid in present.items()
                    ]
                )
            case "RemoveParticipant":
                whom = room.RoomParticipantIdentity.FromString(body)
                self._need(grants.room_admin and grants.room == whom.room)
                if whom.identity not in self.present(whom.room):
                    raise _Refusal(404, "not_found", "participant does not exist")
                self._gone(whom.room, whom.identity)
                return room.RemoveParticipantResponse()
        raise _Refusal(404, "bad_route", "no such method")

    def _grants(self, token: str) -> VideoGrants:
        try:
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
            if issuer != self.key:
                raise _Refusal(401, text=f"invalid API key: {issuer}")
            claims = TokenVerifier(self.key, self.secret).verify(token)
        except jwt.PyJWTError as error:
            # The real one quotes the token too.
            raise _Refusal(401, text=f"invalid token: {token}, error: {error}") from error
        return claims.video or VideoGrants()

    def _need(self, granted: bool | None) -> None:
        if not granted:
            raise _Refusal(401, "unauthenticated", "permissions denied")

    def _close(self, name: str) -> None:
        if name not in self.rooms:
            raise _Refusal(404, "not_found", "requested room does not exist")
        for identity in list(self.rooms[name].present):
            self._gone(name, identity)
        del self.rooms[name]
        self._notify("room_finished", name)

    def _gone(self, name: str, identity: str) -> None:
        sid = self.rooms[name].present.pop(identity)
        self._notify("participant_left", name, identity, sid)

    def _notify(self, event: str, name: str, identity: str = "", sid: str = "") -> None:
        message = webhook.WebhookEvent(
            event=event,
            id=f"EV_{uuid.uuid4().hex[:12]}",
            created_at=int(time.time()),
            room=models.Room(name=name),
            participant=models.ParticipantInfo(identity=identity, sid=sid) if identity else None,
        )
        made = signed(
            event, name, identity, MessageToJson(message).encode(), key=self.key, secret=self.secret
        )
        self.webhooks.append(made)
        self.on_webhook(made)


def signed(event: str, name: str, identity: str, body: bytes, *, key: str, secret: str) -> Webhook:
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    token = AccessToken(key, secret).with_ttl(timedelta(minutes=5)).with_sha256(digest).to_jwt()
    return Webhook(event, name, identity, body, token)


class InProcess(httpx2.AsyncBaseTransport):
    """Carries requests to a fake in the same process."""

    def __init__(self, fake: FakeLiveKit) -> None:
        self._fake = fake

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        if self._fake.away:
            raise httpx2.ConnectError("away", request=request)
        status, kind, content = self._fake.handle(request.url.path, request.headers, body)
        return httpx2.Response(status, headers={"content-type": kind}, content=content, request=request)
