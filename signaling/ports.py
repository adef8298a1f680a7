"""What signaling needs from the world around it, in as few methods as it uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from signaling.call import Call, CallType
from signaling.call_log import CallLog
from signaling.events import Notice


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What a tenant has settled about calls (contract 3.10)."""

    enabled: bool = True
    default_type: CallType = "video"
    max_participants: int = 8
    ring_s: int = 45
    creator_end_leaves: bool = False


class Room(msgspec.Struct, frozen=True):
    """A room as a decision about a call in it sees it.

    Attributes:
        user_ids: who is in it, in the order of joining.
        engaged: those of them who are talking in another room's call now, and on which device if that is known.
    """

    user_ids: tuple[str, ...]
    members: frozenset[str]
    is_frozen: bool
    engaged: Mapping[str, str | None]


class Change(msgspec.Struct, frozen=True):
    """What was decided: the call as it is from now on, whom to tell, and what to write into the room.

    Attributes:
        before: as it was; the same object as ``call`` when nothing changes, None when the call begins.
        log: the call log, of a call that ends by this.
    """

    before: Call | None
    call: Call
    room: Room
    notices: tuple[Notice, ...] = ()
    log: CallLog | None = None


class Changed(msgspec.Struct, frozen=True):
    """A change that is durable.

    Attributes:
        told: the notices and the call log's message, in the order of telling, as store and ``Announce`` know them.
    """

    change: Change
    told: tuple[Any, ...] = ()

    @property
    def call(self) -> Call:
        return self.change.call


class Stray(msgspec.Struct, frozen=True):
    """Somebody who rings or talks in a call of a room that he is not in any more."""

    tenant_id: str
    room_id: str
    call_id: str
    user_id: str


Step: TypeAlias = Callable[[Call | None, Room], Change]


class CallStore(Protocol):
    """Calls, kept. Every implementation passes ``tests/signaling/store_contract.py``.

    A *step* is a pure function that decides, or raises a ``CallError``. It runs inside the transaction that writes what it
    decides, so nothing comes between: there is one writer of a call at any time, on whichever node. It may be run twice.

    ``then`` is called on the event loop, synchronously, right after the commit and in the order of commits, also when the
    task that asked has been cancelled meanwhile.
    """

    async def room_and_call(
        self, tenant_id: str, room_id: str, call_id: str | None = None
    ) -> tuple[Call | None, Room]:
        """The room, and its call of this id; without one, its live call.

        Raises:
            NotThere: the tenant has no such room.
        """
        ...

    async def change_call(
        self,
        tenant_id: str,
        room_id: str,
        call_id: str | None,
        step: Step,
        *,
        then: Callable[[Changed], None],
        once: Any | None = None,
    ) -> Changed:
        """Decide on what ``room_and_call`` returns, and write it: call, call log and notices together, or nothing of it.

        Args:
            once: an idempotency key of whoever calls us, passed on as it is.

        Raises:
            NotThere: the tenant has no such room.
            CallError: the step refused; nothing was written.
        """
        ...

    async def call(self, call_id: str) -> Call | None:
        """The call of this id, of whatever tenant."""
        ...

    async def live_media_rooms(self) -> list[str]:
        """The media rooms of all calls that ring or are active, of all tenants."""
        ...

    async def calls_page(
        self, tenant_id: str, room_id: str, *, viewer_id: str | None, limit: int, cursor: str | None
    ) -> tuple[list[Call], str | None]:
        """Calls of a room, newest first, and the cursor of those behind them.

        Raises:
            NotThere: no such room, or the viewer is not in it.
        """
        ...

    async def calls_ringing_for(self, tenant_id: str, user_id: str) -> list[Call]:
        """The calls that ring for this user now."""
        ...

    async def due_calls(self, now: int, *, limit: int) -> list[Call]:
        """Live calls that have rung long enough by ``now`` (milliseconds), those due first."""
        ...

    async def call_strays(self, *, room_id: str | None = None, limit: int) -> list[Stray]:
        """Who is in a live call and not in its room; of one room, or of all."""
        ...


class Announce(Protocol):
    """Tells devices, on every node."""

    def changed(self, changed: Changed) -> None:
        """Tell what the store has made of a change's notices and its call log. Never waits and never raises for a
        recipient.

        A notice with a ``but_device`` goes to the user's other devices, and to none at all when that one is not
        connected (contract D6).
        """
        ...


class MediaAccess(msgspec.Struct, frozen=True, rename="camel"):
    """What a client needs to join the media room (contract 3.8).

    Attributes:
        expires_at: ISO-8601.
    """

    url: str
    token: str
    expires_at: str


class Media(Protocol):
    """The media server. Room names are ``Call.media_room``."""

    async def open_room(self, name: str, *, max_participants: int) -> None:
        """Make the room unless it is there.

        Raises:
            MediaUnavailable: it could not be made in time.
        """
        ...

    def close_room(self, name: str) -> None:
        """Have the room closed and everybody in it sent away. Returns at once, never raises; it is retried in the
        background, and what is given up there the reconciler finds: the room is in no live call.
        """
        ...

    def remove(self, name: str, user_id: str) -> None:
        """Have this user sent away, with no way back by the token he has. Returns at once, as ``close_room`` does."""
        ...

    def access(self, name: str, user_id: str, *, username: str | None, video: bool) -> MediaAccess:
        """Sign a token for one user and one room."""
        ...


class MediaHooks(Protocol):
    """What the media server itself tells us, over HTTP."""

    def receive(self, body: bytes, authorization: str) -> bool:
        """Take one webhook; False when it is not the media server's, and then nothing was done.

        Args:
            body: as it came: its hash is what is signed.
            authorization: the header of this name, a bare token.
        """
        ...


class Limiter(Protocol):
    def require(
        self, tenant_id: str, user_id: str, action: Literal["call-start", "call-token-refresh"]
    ) -> None:
        """Raise when the user does this too often."""
        ...


class MediaEvents(Protocol):
    """What the media server's side reports; ``signaling.upkeep.Upkeep`` is this.

    Each is idempotent, and a call that is over or unknown is left alone. What is reported must be so *now*: who hears of it
    late or out of order has asked the media server again before.
    """

    async def live_media_rooms(self) -> Sequence[str]:
        """Every media room that must be there."""
        ...

    async def call_in(self, room_name: str) -> Call | None:
        """The call of this media room, live or over; None when it is none of ours."""
        ...

    async def media_joined(self, room_name: str, user_id: str) -> None:
        """He is in the room. Who is not in the call is removed."""
        ...

    async def media_left(self, room_name: str, user_id: str) -> None:
        """He is not in the room any more, though he has been: he has left an active call."""
        ...

    async def media_finished(self, room_name: str) -> None:
        """The room is gone, or has been empty too long: an active call is over, a ringing one rings on."""
        ...
