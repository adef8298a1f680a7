"""The Socket.IO surface (contract 4): who is let in, and what the three client events do.

Events are answered at once when the room's roster is at hand, which it nearly always is; else they wait for the store on
the worker pool, in the client's order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import Any, TypeAlias

import msgspec
import structlog
import trio

from gateway.api.auth import Authenticator
from gateway.api.revocations import Revocations
from gateway.api.socket_events import (
    Expelled,
    JoinRoom,
    LeaveRoom,
    RoomEvent,
    TypingEvent,
    TypingSaid,
    decode_event,
    decode_expelled,
    read_event,
)
from gateway.chat.limits import Limiter
from gateway.chat.rooms import Rosters
from gateway.chat.typing import Typing
from gateway.delivery.fanout import Fanout
from gateway.delivery.following import Following
from gateway.delivery.hub import Hub
from gateway.delivery.peers import Peers
from gateway.delivery.presence import Presence
from gateway.delivery.recovery import Recovery
from gateway.delivery.session import Session
from gateway.delivery.timers import Wheel
from gateway.errors import GatewayError, Unauthorized, no_such_room
from gateway.net.ports import Refused
from gateway.net.socketio import Socket
from gateway.records import Roster
from gateway.store.ports import Revocation
from gateway.wire.prepared import prepare_event
from gateway.wire.socketio import Packet
from signaling.calls import Calls
from signaling.events import Notice

REVOKED_APART_S = 0.0001
"""Between the ends of two connections whose tokens were taken back together."""

REVOKED_WITHIN_S = 0.25
"""And the last of them."""

AGAIN = 3
"""How often to read what rings, while calls of this user begin and end."""

OVERHEARD = 100
"""Events for a user while what rings for him is read; of more it is not looked at what they are."""

AGAIN_S = 1.0  # when to look again at what could not be looked at, because the store is away

log = structlog.get_logger(__name__)

encode = msgspec.json.encode

Waiting: TypeAlias = Coroutine[Any, Any, None] | None


class ChatSockets:
    """Answers Socket.IO clients. One instance for all."""

    decode_event = staticmethod(decode_event)

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        revocations: Revocations,
        rosters: Rosters,
        limiter: Limiter,
        hub: Hub,
        peers: Peers,
        presence: Presence,
        typing: Typing,
        fanout: Fanout,
        following: Following,
        recovery: Recovery,
        calls: Calls,
        wheel: Wheel,
    ) -> None:
        self._authenticator = authenticator
        self._revocations = revocations
        self._rosters = rosters
        self._limiter = limiter
        self._hub = hub
        self._peers = peers
        self._presence = presence
        self._typists = typing
        self._fanout = fanout
        self._following = following
        self._recovery = recovery
        self._calls = calls
        self._wheel = wheel
        self._doubtful = trio.Event()
        # Who is being let in, and the rooms that he has been put out of meanwhile. Bound: the mailboxes that are worked on.
        self._coming: dict[Session, set[str]] = {}
        self._events: dict[type, Callable[[Session, Any], Waiting]] = {
            JoinRoom: self._join_room,
            LeaveRoom: self._leave_room,
            TypingSaid: self._typing,
        }
        peers.listen("expelled", self._heard_expelled)
        peers.on_missed(self._doubt)
        revocations.on_revoked(self._revoked)

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
        assert caller.issued_at is not None
        assert caller.expires_at is not None
        session = Session(
            tenant_id=caller.tenant.id,
            user_id=caller.user_id,
            jti=caller.jti,
            issued_at=caller.issued_at,
            outbox=socket.engine.outbox,
            transport=socket.engine,
        )
        await self._following.attend(session.tenant_id)
        online = await self._presence.snapshot(session.tenant_id, session.user_id)
        left_s = caller.expires_at - time.time()
        put_out = self._coming[session] = set()
        try:
            # The last that waits, for a client that comes back; what rings is among what it has missed.
            returned = await self._recovery.recover(
                caller.tenant,
                session.user_id,
                pid=auth.get("pid"),
                offset=auth.get("offset"),
                limit_bytes=session.outbox.limit_bytes // 2,
            )
            invites = await self._ringing(session) if returned is None else []
        finally:
            del self._coming[session]
        if returned is not None:
            socket.sid, socket.pid = returned.sid, returned.pid
        else:
            socket.pid = self._recovery.pid(caller.tenant, session.user_id, socket.sid)
        session.sid = socket.sid

        def welcome() -> None:
            socket.state = session
            if returned is not None:
                self._replace(session)
                for packet in returned.missed:
                    session.outbox.put(packet)
            self._hub.add(session)
            self._presence.arrived(session)
            session.expiry = self._wheel.after(left_s, _expire, socket)
            session.outbox.put(prepare_event("tenant-presence-snapshot", online))
            if returned is not None and returned.room_id is not None and returned.room_id not in put_out:
                self._presence.enter(session, returned.room_id, again=True)
            for invite in invites:
                session.outbox.put(prepare_event(invite.event, invite.payload))
            if self._revocations.covers(
                session.tenant_id, user_id=session.user_id, jti=session.jti, issued_at=session.issued_at
            ):
                self._revoke((session,))  # taken back while it came in

        return welcome

    async def _ringing(self, session: Session) -> list[Notice]:
        """The invites of calls that ring for this user: the last to be read before the session hears what happens."""
        for _ in range(AGAIN):
            with self._fanout.tap(session.tenant_id, session.user_id, limit=OVERHEARD) as told:
                invites = await self._calls.invites(session.tenant_id, session.user_id)
            if len(told) <= OVERHEARD and not any(one.event.startswith("call-") for one in told):
                break  # of calls nothing has been told meanwhile, which this session would not have heard
        return invites

    def _replace(self, session: Session) -> None:
        """End a connection whose client has come back on another: one that the network has not yet said is lost."""
        for other in self._hub.sessions_of(session.tenant_id, (session.user_id,)):
            if other.sid == session.sid and other.transport is not None:
                other.transport.close("client is back on another connection")

    def _revoked(self, revocation: Revocation) -> None:
        """Tokens have been taken back: the connections made with them end."""
        users = self._hub.users(revocation.tenant_id)
        concerned = users if revocation.user_id is None else (revocation.user_id,)
        self._revoke(
            session
            for session in self._hub.sessions_of(revocation.tenant_id, concerned)
            if revocation.covers(user_id=session.user_id, jti=session.jti, issued_at=session.issued_at)
        )

    def _revoke(self, sessions: Iterable[Session]) -> None:
        # As if each token ended now: the same timer, the same farewell. Those of a whole tenant within a quarter of a
        # second, so that nobody else waits for it.
        now = trio.current_time()
        for number, session in enumerate(sessions):
            session.revoked = True
            if session.expiry is not None:
                self._wheel.move(session.expiry, now + min(number * REVOKED_APART_S, REVOKED_WITHIN_S))

    def gone(self, socket: Socket, reason: str) -> None:
        session: Session = socket.state
        if session.expiry is not None:
            session.expiry.cancel()
        self._typists.stop_all(session)
        self._presence.dropped(session)
        last = self._hub.remove(session)
        self._presence.departed(session, last=last)

    def expel(self, tenant_id: str, user_id: str, room_id: str) -> None:
        """The user is no longer in the room: his connections, on all nodes, leave it and are not typing in it any more."""
        self._expel(tenant_id, user_id, room_id)
        self._peers.say("expelled", encode(Expelled(tenant_id, user_id, room_id)))

    def _heard_expelled(self, _: str, body: bytes) -> None:
        expelled = decode_expelled(body)
        self._expel(expelled.tenant_id, expelled.user_id, expelled.room_id)

    def _expel(self, tenant_id: str, user_id: str, room_id: str) -> None:
        for coming, put_out in self._coming.items():
            if (coming.tenant_id, coming.user_id) == (tenant_id, user_id):
                put_out.add(room_id)
        for session in self._hub.sessions_of(tenant_id, (user_id,)):
            self._typists.stop(session, room_id)
        self._presence.expel(tenant_id, user_id, room_id)

    def met(self, tenant_id: str, newcomers: Collection[str], everybody: Collection[str]) -> None:
        """They share a room now: where only contacts see each other, they do from now on."""
        self._presence.met(tenant_id, newcomers, everybody)

    def _doubt(self, node_id: str) -> None:
        """Something a node said was lost; it may have been that somebody is no longer in a room."""
        self._doubtful.set()

    async def run(self) -> None:
        """When there is doubt, see whether everybody may have the room open that he has, for ever."""
        while True:
            await self._doubtful.wait()
            self._doubtful = trio.Event()
            for session in self._hub.sessions():
                room_id = session.room_id
                if room_id is None:
                    continue
                try:
                    roster = await self._rosters.load(session.tenant_id, room_id)
                except Exception:
                    # The one boundary of this task: a store that is away must not end it, nor the doubt.
                    log.exception("rosters not seen", room_id=room_id)
                    self._doubtful.set()
                    await trio.sleep(AGAIN_S)
                    break
                if roster is None or session.user_id not in roster.members:
                    self._expel(session.tenant_id, session.user_id, room_id)
                await trio.lowlevel.checkpoint()

    def dispatch(self, socket: Socket, packet: Packet) -> Waiting:
        session: Session = socket.state
        event = packet.data
        waiting: Waiting = None
        try:
            if type(event) is list:
                event = read_event(event)
            waiting = self._events[type(event)](session, event.payload)
        except GatewayError as error:
            _refuse(session, error.message)
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

    def _with_roster(
        self, session: Session, room_id: str, action: Callable[[Session, Roster], Waiting]
    ) -> Waiting:
        """Do ``action`` if the session's user is in the room: now, or when the store has said so."""
        roster = self._rosters.cached(session.tenant_id, room_id)
        if roster is None:
            return self._load_roster(session, room_id, action)
        if session.user_id in roster.members:
            return action(session, roster)
        _refuse(session, no_such_room().message)
        return None

    async def _load_roster(
        self, session: Session, room_id: str, action: Callable[[Session, Roster], Waiting]
    ) -> None:
        try:
            roster = await self._rosters.require_participant(session.tenant_id, room_id, session.user_id)
        except GatewayError as error:
            _refuse(session, error.message)
            return
        if not session.outbox.closed:  # the client may have gone meanwhile
            waiting = action(session, roster)
            if waiting is not None:
                await waiting

    # the events

    def _join_room(self, session: Session, event: RoomEvent) -> Waiting:
        if _is_other(session, event.user_id):
            return None
        if self._limiter.take(session.tenant_id, session.user_id, "join-room"):
            _refuse(session, "Too many rooms joined too fast; try again shortly.")
            return None
        return self._with_roster(session, event.room_id, self._joined)

    def _joined(self, session: Session, roster: Roster) -> Waiting:
        room_id = roster.room_id
        if session.room_id == room_id:
            self._presence.enter(session, room_id)  # is answered again
            return None

        def enter() -> None:
            self._typists.stop_all(session, but=room_id)
            self._presence.leave(session)
            self._presence.enter(session, room_id)

        return self._open(session, room_id, enter)

    async def _open(self, session: Session, room_id: str | None, tell: Callable[[], None]) -> None:
        """Change the room that the session has open, and ``tell`` of it when that is kept: a client that has been told
        finds it so when it comes back, whatever happens to this process."""

        def then(_: None) -> None:
            if not session.outbox.closed:  # the client may have gone meanwhile
                tell()

        try:
            await self._recovery.open_room(session, room_id, then=then)
        except GatewayError as error:
            _refuse(session, error.message)

    def _leave_room(self, session: Session, event: RoomEvent | str) -> Waiting:
        if isinstance(event, str):
            room_id = event
        elif _is_other(session, event.user_id):
            return None
        else:
            room_id = event.room_id
        self._typists.stop(session, room_id)
        # On a switch the new room may be joined before the old one is left: only the active room can be left.
        if session.room_id == room_id:
            return self._open(session, None, lambda: self._presence.leave(session))
        return None

    def _typing(self, session: Session, event: TypingEvent) -> Waiting:
        if event.user_id != session.user_id and _is_other(session, event.user_id):
            return None
        if not event.is_typing:
            # Never limited: the others would see the user type for ever.
            self._typists.stop(session, event.room_id)
            return None
        if self._limiter.take(session.tenant_id, session.user_id, "typing"):
            return None
        return self._with_roster(session, event.room_id, self._typists.start)


def _refuse(session: Session, message: str) -> None:
    Fanout.to_session(session, "error", encode({"message": message}))


def _expire(socket: Socket) -> None:
    # The DISCONNECT packet, not a bare close: the client would come back with the same token (contract 4.9).
    session: Session = socket.state
    _refuse(session, "Session revoked" if session.revoked else "Session expired")
    socket.disconnect()


def _is_other(session: Session, user_id: str | None) -> bool:
    """Whether the client speaks for somebody else, which it is told."""
    if user_id is None or user_id == session.user_id:
        return False
    _refuse(session, "userId is not the user of this session.")
    return True
