"""The Socket.IO surface (contract 4): who is let in, and what the three client events do.

Events are answered at once when the room's roster is at hand, which it nearly always is; else they wait for the store on
the worker pool, in the client's order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import msgspec

from gateway.api.auth import Authenticator
from gateway.chat.limits import Limiter
from gateway.chat.rooms import Rosters
from gateway.delivery.fanout import Fanout
from gateway.delivery.hub import Hub
from gateway.delivery.presence import Presence
from gateway.delivery.session import Session
from gateway.delivery.timers import Wheel
from gateway.errors import GatewayError, Unauthorized, no_such_room
from gateway.net.ports import Refused
from gateway.net.socketio import Socket
from gateway.records import Roster
from gateway.wire.prepared import prepare_event
from gateway.wire.socketio import Packet

TYPING_ROOMS = 32
"""Bound on the rooms one connection may be typing in at once; people type in one."""

encode = msgspec.json.encode


class RoomEvent(msgspec.Struct, rename="camel"):
    """``join-room`` and ``leave-room``."""

    room_id: str
    user_id: str | None = None


class TypingEvent(msgspec.Struct, rename="camel"):
    room_id: str
    is_typing: bool
    user_id: str | None = None


Waiting: TypeAlias = Coroutine[Any, Any, None] | None


class ChatSockets:
    """Answers Socket.IO clients. One instance for all."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        rosters: Rosters,
        limiter: Limiter,
        hub: Hub,
        presence: Presence,
        fanout: Fanout,
        wheel: Wheel,
    ) -> None:
        self._authenticator = authenticator
        self._rosters = rosters
        self._limiter = limiter
        self._hub = hub
        self._presence = presence
        self._fanout = fanout
        self._wheel = wheel
        self._events: dict[str, Callable[[Session, Any], Waiting]] = {
            "join-room": self._join_room,
            "leave-room": self._leave_room,
            "typing": self._typing,
        }

    async def admit(self, socket: Socket, auth: dict[str, Any]) -> Callable[[], None]:
        if socket.namespace != "/":
            raise Refused("Invalid namespace")
        token = auth.get("token")
        if not isinstance(token, str) or not token:
            raise Refused("Unauthorized: connect with a session token in auth.token.")
        try:
            caller = await self._authenticator.verify(token, remember=False)
        except Unauthorized as error:
            raise Refused(error.message) from error
        assert caller.user_id is not None
        assert caller.jti is not None
        assert caller.expires_at is not None
        session = Session(
            tenant_id=caller.tenant.id, user_id=caller.user_id, jti=caller.jti, outbox=socket.engine.outbox
        )
        online = await self._presence.snapshot(session.tenant_id, session.user_id)
        left_s = caller.expires_at - time.time()

        def welcome() -> None:
            socket.state = session
            self._hub.add(session)
            self._presence.arrived(session)
            session.expiry = self._wheel.after(left_s, ChatSockets._expire, self, socket)
            session.outbox.put(prepare_event("tenant-presence-snapshot", online))

        return welcome

    def _expire(self, socket: Socket) -> None:
        # The DISCONNECT packet, not a bare close: the client would come back with the same token (contract 4.9).
        self._refuse(socket.state, "Session expired")
        socket.disconnect()

    def gone(self, socket: Socket, reason: str) -> None:
        session: Session = socket.state
        if session.expiry is not None:
            session.expiry.cancel()
        self._stop_typing(session)
        self._presence.dropped(session)
        last = self._hub.remove(session)
        self._presence.departed(session, last=last)

    def expel(self, tenant_id: str, user_id: str, room_id: str) -> None:
        """The user is no longer in the room: his connections leave it and are not typing in it any more."""
        for session in self._hub.sessions_of(tenant_id, (user_id,)):
            self._stopped_typing(session, room_id)
        self._presence.expel(tenant_id, user_id, room_id)

    def dispatch(self, socket: Socket, packet: Packet) -> Waiting:
        session: Session = socket.state
        data = packet.data
        event = self._events.get(data[0])
        waiting: Waiting = None
        if event is None:
            self._refuse(session, f"Unknown event: {data[0][:64]}.")
        else:
            try:
                waiting = event(session, data[1] if len(data) > 1 else None)
            except msgspec.ValidationError as error:
                self._refuse(session, f"Malformed {data[0]}: {error}.")
            except GatewayError as error:
                self._refuse(session, error.message)
        if packet.id is None:
            return waiting
        if waiting is None:
            socket.ack(packet.id)
            return None
        return self._then_ack(waiting, socket, packet.id)

    @staticmethod
    async def _then_ack(waiting: Coroutine[Any, Any, None], socket: Socket, ack_id: int) -> None:
        await waiting
        socket.ack(ack_id)

    def _refuse(self, session: Session, message: str) -> None:
        self._fanout.to_session(session, "error", encode({"message": message}))

    def _is_other(self, session: Session, user_id: str | None) -> bool:
        """Whether the client speaks for somebody else, which it is told."""
        if user_id is None or user_id == session.user_id:
            return False
        self._refuse(session, "userId is not the user of this session.")
        return True

    def _with_roster(
        self, session: Session, room_id: str, action: Callable[[Session, Roster], None]
    ) -> Waiting:
        """Do ``action`` if the session's user is in the room: now, or when the store has said so."""
        roster = self._rosters.cached(session.tenant_id, room_id)
        if roster is None:
            return self._load_roster(session, room_id, action)
        if session.user_id in roster.members:
            action(session, roster)
        else:
            self._refuse(session, no_such_room().message)
        return None

    async def _load_roster(
        self, session: Session, room_id: str, action: Callable[[Session, Roster], None]
    ) -> None:
        try:
            roster = await self._rosters.require_participant(session.tenant_id, room_id, session.user_id)
        except GatewayError as error:
            self._refuse(session, error.message)
            return
        if not session.outbox.closed:  # the client may have gone meanwhile
            action(session, roster)

    # the events

    def _join_room(self, session: Session, payload: Any) -> Waiting:
        event = msgspec.convert(payload, RoomEvent)
        if self._is_other(session, event.user_id):
            return None
        if self._limiter.take(session.tenant_id, session.user_id, "join-room"):
            self._refuse(session, "Too many rooms joined too fast; try again shortly.")
            return None
        return self._with_roster(session, event.room_id, self._joined)

    def _joined(self, session: Session, roster: Roster) -> None:
        if session.room_id != roster.room_id:
            self._stop_typing(session, but=roster.room_id)
            self._presence.leave(session)
        self._presence.enter(session, roster.room_id)

    def _leave_room(self, session: Session, payload: Any) -> Waiting:
        if isinstance(payload, str):
            room_id = payload
        else:
            event = msgspec.convert(payload, RoomEvent)
            if self._is_other(session, event.user_id):
                return None
            room_id = event.room_id
        self._stopped_typing(session, room_id)
        # On a switch the new room may be joined before the old one is left: only the active room can be left.
        if session.room_id == room_id:
            self._presence.leave(session)
        return None

    def _typing(self, session: Session, payload: Any) -> Waiting:
        event = msgspec.convert(payload, TypingEvent)
        if self._is_other(session, event.user_id):
            return None
        if not event.is_typing:
            # Never limited: the others would see the user type for ever.
            self._stopped_typing(session, event.room_id)
            return None
        if self._limiter.take(session.tenant_id, session.user_id, "typing"):
            return None
        return self._with_roster(session, event.room_id, self._started_typing)

    def _started_typing(self, session: Session, roster: Roster) -> None:
        typing = session.typing
        if typing is None:
            typing = session.typing = {}
        if len(typing) >= TYPING_ROOMS and roster.room_id not in typing:
            self._stopped_typing(session, next(iter(typing)))
            typing = session.typing = session.typing or {}
        typing[roster.room_id] = roster.user_ids
        self._tell_typing(session, roster.room_id, roster.user_ids, is_typing=True)

    def _stopped_typing(self, session: Session, room_id: str) -> None:
        if session.typing is None:
            return
        told = session.typing.pop(room_id, None)
        if not session.typing:
            session.typing = None
        if told is not None:
            self._tell_typing(session, room_id, told, is_typing=False)

    def _stop_typing(self, session: Session, *, but: str | None = None) -> None:
        """Say the ``false`` that a client which has gone or turned away does not say itself."""
        for room_id in list(session.typing or ()):
            if room_id != but:
                self._stopped_typing(session, room_id)

    def _tell_typing(
        self, session: Session, room_id: str, user_ids: tuple[str, ...], *, is_typing: bool
    ) -> None:
        if len(user_ids) == 1:
            return  # alone in the room
        payload = encode({"roomId": room_id, "userId": session.user_id, "isTyping": is_typing})
        self._fanout.to_users(
            session.tenant_id, user_ids, "typing", payload, but=session.user_id, transient=is_typing
        )
