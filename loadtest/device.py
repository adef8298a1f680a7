"""One device of one user, behaving as the published clients do: a Socket.IO connection, and REST beside it."""

from __future__ import annotations

import random
import socket
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import gevent
import socketio
from gevent.event import Event
from locust.contrib.fasthttp import FastHttpSession
from locust.env import Environment

from loadtest.crowd import Crowd
from loadtest.platform import Person, Platform
from loadtest.texts import age_s, stamped

REFRESH_S = 0.8
"""After a message, both UI kits wait this long before they fetch the room list again."""

FIRST_CHARACTERS_S = 0.3
ANSWER_S = 30.0
SHOWN_OFFLINE = "somebody is shown offline who is here, or about to be back"


class DeviceError(Exception):
    """The gateway did not do what a client relies on; the message says what."""


class Device:
    """
    Args:
        http: what its REST requests go through, which measures them.
    """

    def __init__(
        self,
        person: Person,
        http: FastHttpSession,
        *,
        platform: Platform,
        crowd: Crowd,
        environment: Environment,
    ) -> None:
        self.person = person
        self.room: str | None = None
        self.call: str | None = None
        self.accepted = Event()
        self._http = http
        self._platform = platform
        self._crowd = crowd
        self._fire = environment.events.request.fire
        self._token = ""
        self._socket: socketio.Client | None = None
        self._joined = Event()
        self._connecting_since = 0.0
        self._cut_at = 0.0
        self._join_began = 0.0
        self._catching_up = False
        self._unread = False
        self._rings = False

    # --- coming and going --------------------------------------------------------------------------------

    def sign_in(self) -> None:
        """A session by way of the platform's backend."""
        body = {"userId": self.person.id, "expiresIn": 3_600}
        self._token = self._rest("POST", "/auth/token", body, headers=self._platform.headers)["token"]

    def connect(self) -> None:
        """Until the gateway has taken the connection."""
        client = socketio.Client(
            reconnection_delay=1,
            reconnection_delay_max=5,
            randomization_factor=0.5,
            handle_sigint=False,
        )
        client.on("connect", self._on_connect)
        client.on("joined-room", self._on_joined)
        client.on("new-message", self._on_message)
        client.on("typing", self._on_typing)
        client.on("tenant-presence", self._on_presence)
        client.on("tenant-presence-snapshot", self._on_snapshot)
        client.on("call-invite", self._on_invite)
        client.on("call-accepted", self._on_accepted)
        client.on("error", lambda error, *_: self._failed("socket", str(error.get("message"))))
        began = self._connecting_since = time.perf_counter()
        self._socket = client
        try:
            client.connect(
                self._platform.url,
                auth=lambda: {"token": self._token},
                transports=["websocket"],
                wait_timeout=ANSWER_S,
            )
        except socketio.exceptions.ConnectionError as error:
            self._failed("connect", str(error))
            raise DeviceError(f"no connection: {error}") from error
        self._took("connect", time.perf_counter() - began)

    def renew(self) -> None:
        """What the session manager does before a token expires: a fresh one, the old socket closed, a new one opened."""
        self.sign_in()
        self.close()
        self.connect()
        if self.room is not None:
            self.open(self.room)

    def cut(self) -> None:
        """The network goes away; the client finds out, and comes back by itself after its own waiting time."""
        if self._socket is not None and self._socket.connected:
            self._cut_at = self._connecting_since = time.perf_counter()
            self._crowd.away.add(self.person.id)
            with suppress(OSError):
                self._socket.eio.ws.sock.shutdown(socket.SHUT_RDWR)

    def leave(self) -> None:
        """For good: he may be shown offline from now on."""
        self._crowd.here.pop(self.person.id, None)
        self.close()

    def close(self) -> None:
        if self._socket is not None:
            client, self._socket = self._socket, None
            with suppress(Exception):  # whatever state it is in, it is not used any more
                client.shutdown()

    # --- what a user does --------------------------------------------------------------------------------

    def open(self, room_id: str) -> None:
        """A thread: its head and last page, the socket joined to it, what is in it read."""
        self.room = room_id
        self._joined.clear()
        self._join_began = time.perf_counter()
        self._emit("join-room", {"roomId": room_id, "userId": self.person.id})
        self._rest("GET", f"/chat/rooms/{room_id}", name="GET /chat/rooms/:id")
        self._rest("GET", f"/chat/rooms/{room_id}/messages?limit=50", name="GET /messages")
        if not self._joined.wait(ANSWER_S):
            self._failed("join-room", "no joined-room")
            raise DeviceError("no joined-room")
        self._read()

    def list_rooms(self) -> None:
        self._rest("GET", "/chat/rooms?limit=50", name="GET /chat/rooms")

    def type(self, room_id: str, typing: bool) -> None:
        if typing:
            self._crowd.begin("typing", room_id, self.person.id)
        self._emit("typing", {"roomId": room_id, "userId": self.person.id, "isTyping": typing})

    def send(self, room_id: str) -> None:
        """A message as a person writes it: the first characters, then the rest, then off it goes."""
        self.type(room_id, True)
        gevent.sleep(random.uniform(0.5, 1.5) * FIRST_CHARACTERS_S)
        body = {
            "senderId": self.person.id,
            "clientMessageId": str(uuid.uuid4()),
            "parts": [{"type": "text", "text": stamped(time.perf_counter())}],
        }
        self._rest("POST", f"/chat/rooms/{room_id}/messages", body, name="POST /messages")
        self.type(room_id, False)

    def ring(self, room_id: str, *, talk_s: float) -> None:
        """A call from its start to its end; who takes it does so in :meth:`_on_invite`."""
        self.accepted.clear()
        self._crowd.begin("call", room_id)
        path = f"/chat/rooms/{room_id}/calls"
        self.call = self._rest("POST", path, {"type": "audio"}, name="POST /calls")["call"]["id"]
        if self.accepted.wait(ANSWER_S):
            self._rest("POST", f"{path}/{self.call}/token", {}, name="POST /calls/:id/token")
            gevent.sleep(talk_s)
        else:
            self._failed("call-accepted", "nobody answered")
        self._rest("POST", f"{path}/{self.call}/end", {}, name="POST /calls/:id/end")
        self.call = None

    # --- what it hears -----------------------------------------------------------------------------------

    def _on_connect(self) -> None:
        self._crowd.here.setdefault(self.person.id, time.perf_counter())
        if self.person.id in self._crowd.away:
            self._crowd.away.remove(self.person.id)
            self._took("come back", time.perf_counter() - self._cut_at)

    def _on_joined(self, *_: Any) -> None:
        self._took("join-room", time.perf_counter() - self._join_began)
        self._joined.set()

    def _on_message(self, message: Mapping[str, Any], *_: str) -> None:
        parts = message["parts"]
        age = age_s(parts[0].get("text", "")) if parts else None
        if age is not None:
            self._took("new-message", age)
        if message["roomId"] == self.room and message["senderId"] != self.person.id:
            self._unread = True
        if not self._catching_up:
            self._catching_up = True
            gevent.spawn_later(REFRESH_S, self._catch_up)

    def _catch_up(self) -> None:
        self._catching_up = False
        if self._socket is None:
            return
        with suppress(DeviceError):  # counted where it happened
            self.list_rooms()
            if self._unread:
                self._read()

    def _on_typing(self, typing: Mapping[str, Any], *_: str) -> None:
        # The end of it may come from the gateway, on behalf of somebody who has gone.
        since = self._crowd.since("typing", typing["roomId"], typing["userId"])
        if typing["isTyping"] and since is not None:
            self._took("typing", since)

    def _on_presence(self, presence: Mapping[str, Any], *_: str) -> None:
        if not presence["online"] and presence["userId"] in self._crowd.here:
            self._failed("presence", SHOWN_OFFLINE)

    def _on_snapshot(self, snapshot: Mapping[str, Any], *_: str) -> None:
        # Who came while this connection was being made may be told of a moment later.
        online = frozenset(snapshot["onlineUserIds"])
        for _missing in range(self._crowd.unseen(self.person, online, before=self._connecting_since)):
            self._failed("presence", SHOWN_OFFLINE)

    def _on_invite(self, invite: Mapping[str, Any], *_: str) -> None:
        since = self._crowd.since("call", invite["roomId"])
        if since is not None and not self._rings:
            self._took("call-invite", since)
            self._rings = True
            gevent.spawn_later(random.uniform(0.2, 0.6), self._accept, invite["roomId"], invite["callId"])

    def _accept(self, room_id: str, call_id: str) -> None:
        self._rings = False
        self._crowd.begin("accept", call_id)
        with suppress(DeviceError):
            path = f"/chat/rooms/{room_id}/calls/{call_id}/accept"
            self._rest("POST", path, {}, name="POST /calls/:id/accept")

    def _on_accepted(self, accepted: Mapping[str, Any], *_: str) -> None:
        if accepted["callId"] == self.call:
            since = self._crowd.since("accept", accepted["callId"])
            if since is not None:
                self._took("call-accepted", since)
            self.accepted.set()

    # --- how ---------------------------------------------------------------------------------------------

    def _read(self) -> None:
        self._unread = False
        self._rest("POST", f"/chat/rooms/{self.room}/read", {"userId": self.person.id}, name="POST /read")

    def _emit(self, event: str, payload: Mapping[str, Any]) -> None:
        if self._socket is not None and self._socket.connected:
            with suppress(
                socketio.exceptions.SocketIOError
            ):  # cut off in this moment: a client drops it, too
                self._socket.emit(event, payload)

    def _rest(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        name: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """One request; a refusal is counted by locust.

        Raises:
            DeviceError: it was refused.
        """
        sent = dict(headers or {"authorization": f"Bearer {self._token}"})
        answer = self._http.request(
            method, f"/v1{path}", name=name or f"{method} {path}", json=body, headers=sent
        )
        if not 200 <= answer.status_code < 300:
            raise DeviceError(f"{method} {path} was answered {answer.status_code}")
        return answer.json() if answer.content else None

    def _took(self, name: str, seconds: float) -> None:
        self._fire(
            request_type="socket", name=name, response_time=seconds * 1e3, response_length=0, exception=None
        )

    def _failed(self, name: str, why: str) -> None:
        self._fire(
            request_type="socket", name=name, response_time=0, response_length=0, exception=DeviceError(why)
        )
