"""A step of a call: decided and written by the store, and then told to everybody concerned."""

from __future__ import annotations

from typing import Any

from signaling.call import Call
from signaling.call_log import call_log
from signaling.events import notices
from signaling.ports import Announce, CallStore, Change, Changed, Media, Room, Step


class Steps:
    """What all changes of calls go through.

    Args:
        media: None while there is no LiveKit.
    """

    def __init__(self, *, store: CallStore, announce: Announce, media: Media | None) -> None:
        self._store = store
        self._announce = announce
        self._media = media

    async def take(
        self, tenant_id: str, room_id: str, call_id: str | None, step: Step, *, once: Any | None = None
    ) -> Changed:
        """See ``CallStore.change_call``; what follows from the change has followed when this returns."""
        return await self._store.change_call(tenant_id, room_id, call_id, step, then=self._tell, once=once)

    def _tell(self, changed: Changed) -> None:
        change = changed.change
        before, call, room = change.before, change.call, change.room
        if before is call:
            return
        self._announce.changed(changed)
        if before is None or self._media is None:
            return
        if not call.status.live:
            self._media.close_room(call.media_room)
            return
        for user_id in before.joined - call.joined - room.members:
            self._media.remove(call.media_room, user_id)


def decided(before: Call | None, call: Call, room: Room) -> Change:
    """The change from one to the other, with all that it brings."""
    if before is call:
        return Change(before, call, room)
    told = notices(before, call, user_ids=room.user_ids, engaged=room.engaged)
    return Change(before, call, room, told, None if call.status.live else call_log(call))
