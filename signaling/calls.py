"""Calls: what clients ask of them.

Each request is one step: a pure decision (``transitions.advance``) that the store takes inside the transaction which
writes it. What follows from it (events, the call log, closing the media room) leaves from the store's ``then``, so
nothing is told that is not durable, and nothing durable is not told.

Who gets a media token gets it for a room that is there: it is opened before the step. When LiveKit cannot be reached, nobody
rings and nobody's accept is lost; the client is told to try again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import uuid_utils

from signaling import errors
from signaling.call import Call, CallType
from signaling.events import Notice, invite
from signaling.ports import (
    CallStore,
    Change,
    Changed,
    Limiter,
    Media,
    MediaAccess,
    Policy,
    Room,
    Step,
)
from signaling.steps import Steps, decided
from signaling.transitions import Action, Ask, advance, ring


class Who(msgspec.Struct, frozen=True):
    """A user and the device he asks from: the ``jti`` of its token."""

    tenant_id: str
    user_id: str
    device: str | None = None


class Calls:
    """The calls of all tenants. Holds nothing of them: every node of a cluster has one, and the store arbitrates.

    Args:
        media: None while there is no LiveKit: what would begin or change a call is refused, the rest works.
        clock: milliseconds since the epoch; also called in other threads.
    """

    def __init__(
        self,
        *,
        steps: Steps,
        store: CallStore,
        media: Media | None,
        limiter: Limiter,
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._steps = steps
        self._media = media
        self._limiter = limiter
        self._clock = clock

    # what clients ask

    async def start(
        self, who: Who, room_id: str, *, type: CallType | None, policy: Policy, once: Any | None = None
    ) -> Changed:
        """Call everybody in the room; or, when it has a live call, join that one.

        Raises:
            NotThere: no such room, or the user is not in it.
            Barred: calls are off, or the room is frozen.
            Conflicting: there is nobody to call, or the live call is full.
            MediaUnavailable: no LiveKit.
        """
        media = self._required(policy)
        self._limiter.require(who.tenant_id, who.user_id, "call-start")
        call_id = str(uuid_utils.uuid7())

        def step(live: Call | None, room: Room) -> Change:
            _require_member(who, room)
            if live is not None:
                return self._advanced(live, room, Action.START, who)
            if room.is_frozen:
                raise errors.room_frozen()
            call = ring(
                call_id=call_id,
                tenant_id=who.tenant_id,
                room_id=room_id,
                type=type or policy.default_type,
                creator_id=who.user_id,
                device=who.device,
                user_ids=room.user_ids,
                max_participants=policy.max_participants,
                ring_s=policy.ring_s,
                now=self._clock(),
            )
            return decided(None, call, room)

        planned = await self._opened(media, who.tenant_id, room_id, None, step, once)
        own_room = planned.media_room if planned is not None and planned.id == call_id else None
        try:
            changed = await self._steps.take(who.tenant_id, room_id, None, step, once=once)
        except Exception:
            # Not for Cancelled: the write may happen all the same.
            if own_room is not None:
                media.close_room(own_room)
            raise
        call = changed.call
        if planned is None or call.id != planned.id:
            # Since we looked, a call has begun here or has ended.
            if own_room is not None:
                media.close_room(own_room)
            await media.open_room(call.media_room, max_participants=call.max_participants)
        return changed

    async def accept(
        self, who: Who, room_id: str, call_id: str, *, policy: Policy, once: Any | None = None
    ) -> Changed:
        """Answer a call, or join one that is live.

        Raises:
            NotThere, Barred, MediaUnavailable: as ``start``; or there is no such call.
            Conflicting: it is over, full, or was answered on another device of this user.
        """
        return await self._join(who, room_id, call_id, Action.ACCEPT, policy, once)

    async def token(
        self, who: Who, room_id: str, call_id: str, *, policy: Policy, once: Any | None = None
    ) -> Changed:
        """Be given access to the media; by anybody but a creator who waits, it is joining.

        Raises: as ``accept``; a second device is let in, though (the first then loses the media).
        """
        self._required(policy)
        self._limiter.require(who.tenant_id, who.user_id, "call-token-refresh")
        return await self._join(who, room_id, call_id, Action.TOKEN, policy, once)

    async def decline(
        self, who: Who, room_id: str, call_id: str, *, policy: Policy, once: Any | None = None
    ) -> Changed:
        """Turn a call down, on all devices.

        Raises:
            NotThere, Barred, MediaUnavailable: as ``accept``.
            Conflicting: it is the user's own, or was answered on another device of his.
        """
        return await self._ask(who, room_id, call_id, Action.DECLINE, policy, once)

    async def end(
        self,
        who: Who,
        room_id: str,
        call_id: str,
        *,
        unanswered: bool,
        policy: Policy,
        once: Any | None = None,
    ) -> Changed:
        """End a call for everybody.

        Raises:
            NotThere, MediaUnavailable: as ``accept``.
            Barred: calls are off; or it is a group call that somebody else started.
        """
        return await self._ask(who, room_id, call_id, Action.END, policy, once, unanswered=unanswered)

    async def leave(
        self, who: Who, room_id: str, call_id: str, *, policy: Policy, once: Any | None = None
    ) -> Changed:
        """Hang up.

        Raises: NotThere, Barred, MediaUnavailable: as ``accept``.
        """
        return await self._ask(who, room_id, call_id, Action.LEAVE, policy, once)

    async def active(self, tenant_id: str, room_id: str, user_id: str) -> Call:
        """The room's live call.

        Raises:
            NotThere: there is none, no such room, or the user is not in it.
        """
        call, room = await self._store.room_and_call(tenant_id, room_id)
        if user_id not in room.members:
            raise errors.no_such_room()
        if call is None:
            raise errors.no_live_call()
        return call

    async def page(
        self, tenant_id: str, room_id: str, *, viewer_id: str | None, limit: int, cursor: str | None
    ) -> tuple[list[Call], str | None]:
        """See ``CallStore.calls_page``."""
        return await self._store.calls_page(
            tenant_id, room_id, viewer_id=viewer_id, limit=limit, cursor=cursor
        )

    async def invites(self, tenant_id: str, user_id: str) -> list[Notice]:
        """What a device that connects now has missed: an invite for each call that rings for its user."""
        return [invite(call, (user_id,)) for call in await self._store.calls_ringing_for(tenant_id, user_id)]

    def access(self, call: Call, user_id: str) -> MediaAccess:
        """A way into the media room, for somebody whose request to join was granted.

        Raises:
            MediaUnavailable: no LiveKit.
        """
        if self._media is None:
            raise errors.not_configured()
        return self._media.access(call.media_room, user_id, username=None, video=call.type == "video")

    def _required(self, policy: Policy) -> Media:
        if not policy.enabled:
            raise errors.switched_off()
        if self._media is None:
            raise errors.not_configured()
        return self._media

    async def _join(
        self, who: Who, room_id: str, call_id: str, action: Action, policy: Policy, once: Any | None
    ) -> Changed:
        media = self._required(policy)
        step = self._step(who, action, policy)
        planned = await self._opened(media, who.tenant_id, room_id, call_id, step, once)
        changed = await self._steps.take(who.tenant_id, room_id, call_id, step, once=once)
        if planned is None:
            await media.open_room(changed.call.media_room, max_participants=changed.call.max_participants)
        return changed

    async def _opened(
        self, media: Media, tenant_id: str, room_id: str, call_id: str | None, step: Step, once: Any | None
    ) -> Call | None:
        """The call that a step leads to as things are, its media room opened.

        None for a step that would be refused now but may be a repeat: of that the store knows, and it knows the
        answer that was given then.
        """
        look = await self._store.room_and_call(tenant_id, room_id, call_id)
        try:
            call = step(*look).call
        except errors.CallError:
            if once is None:
                raise
            return None
        await media.open_room(call.media_room, max_participants=call.max_participants)
        return call

    async def _ask(
        self,
        who: Who,
        room_id: str,
        call_id: str,
        action: Action,
        policy: Policy,
        once: Any | None,
        *,
        unanswered: bool = False,
    ) -> Changed:
        self._required(policy)
        step = self._step(who, action, policy, unanswered=unanswered)
        return await self._steps.take(who.tenant_id, room_id, call_id, step, once=once)

    def _step(self, who: Who, action: Action, policy: Policy, *, unanswered: bool = False) -> Step:
        def step(call: Call | None, room: Room) -> Change:
            _require_member(who, room)
            if call is None:
                raise errors.no_such_call()
            return self._advanced(call, room, action, who, policy=policy, unanswered=unanswered)

        return step

    def _advanced(
        self,
        call: Call,
        room: Room,
        action: Action,
        who: Who,
        *,
        policy: Policy | None = None,
        unanswered: bool = False,
    ) -> Change:
        ask = Ask(
            action=action,
            now=self._clock(),
            user_id=who.user_id,
            device=who.device,
            unanswered=unanswered,
            creator_end_leaves=policy is not None and policy.creator_end_leaves,
        )
        return decided(call, advance(call, ask), room)


def _require_member(who: Who, room: Room) -> None:
    if who.user_id not in room.members:
        raise errors.no_such_room()
