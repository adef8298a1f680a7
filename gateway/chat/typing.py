"""Who is typing (contract 4.6): relayed and never stored, and always ended.

A client says ``true`` once and expires nothing by itself. So the server says the ``false`` that a client which has gone or
turned away cannot; and when a whole node has gone, the others say it to their own clients.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import structlog
import trio

from gateway.chat.rooms import Rosters
from gateway.delivery.attendance import Change
from gateway.delivery.fanout import Fanout
from gateway.delivery.gossip import Gossip
from gateway.delivery.hub import Hub
from gateway.delivery.session import Session
from gateway.records import Roster
from gateway.wire.prepared import prepare_event

ROOMS = 32
"""Bound on the rooms one connection may be typing in at once; people type in one."""

ABANDONED = 10_000
"""Bound on those whose ``false`` waits to be said for a node that is gone; the newest above it are forgotten."""

_ENCODE = msgspec.json.encode

log = structlog.get_logger(__name__)


class Typing:
    """Starts and ends typing, and tells the other participants, wherever they are."""

    def __init__(self, *, fanout: Fanout, gossip: Gossip, hub: Hub, rosters: Rosters) -> None:
        self._fanout = fanout
        self._hub = hub
        self._rosters = rosters
        self._places = gossip.places("typing", self._heard)
        self._send, self._receive = trio.open_memory_channel[tuple[str, str, str]](ABANDONED)

    def start(self, session: Session, roster: Roster) -> None:
        """The session's user, who is in the room, types."""
        typing = session.typing
        if typing is None:
            typing = session.typing = {}
        if len(typing) >= ROOMS and roster.room_id not in typing:
            self.stop(session, next(iter(typing)))
            typing = session.typing = session.typing or {}
        typing[roster.room_id] = roster.user_ids
        self._places.enter(f"{session.tenant_id}/{roster.room_id}", session.user_id)
        self._tell(session, roster.room_id, roster.user_ids, is_typing=True)

    def stop(self, session: Session, room_id: str) -> None:
        """The session's user types there no more; if he did."""
        if session.typing is None:
            return
        told = session.typing.pop(room_id, None)
        if not session.typing:
            session.typing = None
        if told is not None:
            self._places.leave(f"{session.tenant_id}/{room_id}", session.user_id)
            self._tell(session, room_id, told, is_typing=False)

    def stop_all(self, session: Session, *, but: str | None = None) -> None:
        """Say the ``false`` that a client which has gone or turned away does not say itself."""
        for room_id in list(session.typing or ()):
            if room_id != but:
                self.stop(session, room_id)

    def _tell(self, session: Session, room_id: str, user_ids: Collection[str], *, is_typing: bool) -> None:
        if len(user_ids) == 1:
            return  # alone in the room
        self._fanout.to_users(
            session.tenant_id,
            user_ids,
            "typing",
            _payload(room_id, session.user_id, is_typing=is_typing),
            but=session.user_id,
            transient=is_typing,
        )

    def _heard(self, changes: list[Change], healed: bool) -> None:
        # In the ordinary course the user's node itself tells everybody's clients.
        if not healed:
            return
        for place, user_id, here in changes:
            if not here:
                tenant_id, room_id = place.split("/")
                try:
                    self._send.send_nowait((tenant_id, room_id, user_id))
                except trio.WouldBlock:
                    return

    async def run(self) -> None:
        """Say the ``false`` that another node cannot say any more, to the clients of this one, for ever."""
        async for tenant_id, room_id, user_id in self._receive:
            try:
                roster = await self._rosters.load(tenant_id, room_id)
            except Exception:
                # The one boundary of this task: a store that is away must not end it. One more indicator stays on.
                log.exception("typing not ended", room_id=room_id)
                continue
            if roster is not None:
                ended = prepare_event("typing", _payload(room_id, user_id, is_typing=False))
                for session in self._hub.sessions_of(tenant_id, roster.user_ids, but=user_id):
                    session.outbox.put(ended)


def _payload(room_id: str, user_id: str, *, is_typing: bool) -> bytes:
    return _ENCODE({"roomId": room_id, "userId": user_id, "isTyping": is_typing})
