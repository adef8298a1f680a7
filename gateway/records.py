"""What the layers hand to each other: frozen records, named and shaped as the wire knows them (contract 3).

Records with ``rename="camel"`` encode to the contract's JSON as they are. Times in them are ISO-8601 UTC with milliseconds
(``iso``); inside the store a time is an integer of milliseconds since the epoch.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

import msgspec

Role: TypeAlias = Literal["OPERATOR", "MEMBER"]
Provider: TypeAlias = Literal["FCM", "ONESIGNAL", "PUSHY", "APNS"]
PayloadType: TypeAlias = Literal["FULL", "DATA"]
Settings: TypeAlias = dict[str, dict[str, Any]]

# Types of parts about calls and membership. A client that could write or change them could invent both.
SERVER_MADE: Final = frozenset({"data-call", "data-membership"})


def now_ms() -> int:
    """Milliseconds since the epoch, by the wall clock."""
    return time.time_ns() // 1_000_000


def iso(ms: int) -> str:
    """``2026-01-01T10:00:00.123Z`` for milliseconds since the epoch."""
    seconds, milliseconds = divmod(ms, 1000)
    return f"{_second(seconds)}.{milliseconds:03d}Z"


# A page of rooms is a hundred times, the same ones at every refetch, and what is sent now falls into few
# seconds: remembering them makes a time 0.3 us instead of 1.3.
@lru_cache(maxsize=16_384)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


class Tenant(msgspec.Struct, frozen=True):
    """One account: the boundary nothing crosses.

    Attributes:
        signing_secret: HMAC key of this tenant's session tokens, 32 random bytes (contract D1).
        webhook_secret: ``whsec_`` + 48 hex digits.
        settings: only what differs from the defaults, by section (``chat``, ``calls``, ``presence``).
        log_epoch: which log of durable events is this tenant's.
    """

    id: str
    name: str
    signing_secret: bytes
    webhook_secret: str
    webhook_url: str | None
    settings: Settings
    created_at: str
    log_epoch: str


class User(msgspec.Struct, frozen=True, rename="camel"):
    """One of the tenant's own users (contract 3.1)."""

    id: str
    username: str
    app_code: str | None
    avatar_url: str | None
    metadata: dict[str, Any] | None
    created_at: str
    updated_at: str


class Person(msgspec.Struct, frozen=True, rename="camel"):
    """What users may see of each other."""

    id: str
    username: str
    avatar_url: str | None


class UserPage(msgspec.Struct, frozen=True, rename="camel"):
    users: list[Person]
    next_cursor: str | None


class Device(msgspec.Struct, frozen=True, rename="camel"):
    """Where a user can be reached by push (contract 3.9)."""

    id: str
    provider: Provider
    token: str
    platform: str | None
    created_at: str


class TenantApp(msgspec.Struct, frozen=True, kw_only=True):
    """One of a tenant's own apps, with the secrets of its push providers (contract 3.11)."""

    id: str
    app_code: str
    name: str
    push_payload_type: PayloadType
    one_signal_config: dict[str, Any] | None
    fcm_config: dict[str, Any] | None
    pushy_config: dict[str, Any] | None
    created_at: str
    updated_at: str

    def __repr__(self) -> str:
        return f"TenantApp(app_code={self.app_code!r})"


class Participant(msgspec.Struct, frozen=True, rename="camel"):
    """A user's place in a room (contract 3.3)."""

    user_id: str
    role: Role
    username: str
    avatar_url: str | None
    joined_at: str


class LastMessage(msgspec.Struct, frozen=True, rename="camel"):
    preview_text: str | None
    created_at: str


class RoomSummary(msgspec.Struct, frozen=True, rename="camel"):
    """A room as the list shows it to one viewer (contract 3.2)."""

    id: str
    name: str | None
    avatar_url: str | None
    external_id: str | None
    custom_type: str | None
    metadata: msgspec.Raw  # a JSON object or null, as stored
    is_frozen: bool
    last_message: LastMessage | None
    unread_count: int
    last_read_message_id: str | None
    created_at: str


class RoomDetail(RoomSummary, frozen=True, rename="camel"):
    """A room with its roster, in the order of joining."""

    participants: list[Participant]


class Membership(msgspec.Struct, frozen=True, rename="camel"):
    """A change of a roster: ``data`` of a ``data-membership`` part (contract 3.5).

    Attributes:
        actor_user_id: who did it; the target himself where nobody else is known to have.
    """

    action: Literal["joined", "left", "removed"]
    actor_user_id: str
    target_user_id: str


class ParticipantsChanged(msgspec.Struct, frozen=True, rename="camel"):
    """The payload of ``room-participants-changed`` (contract 4.4)."""

    room_id: str
    action: Literal["joined", "left", "removed"]
    target_user_id: str
    actor_user_id: str


class Reaction(msgspec.Struct, frozen=True, rename="camel"):
    user_id: str
    emoji: str


class ParentMessage(msgspec.Struct, frozen=True, rename="camel"):
    """The replied-to message, inlined in the reply (contract 3.4)."""

    id: str
    sender_id: str
    parts: msgspec.Raw
    preview_text: str | None
    deleted: bool


class Message(msgspec.Struct, frozen=True, rename="camel"):
    """A message, complete, as REST returns it and sockets emit it (contract 3.4).

    ``parts`` is the stored JSON array, never decoded on the way out: unknown part types and keys pass untouched.
    """

    id: str
    room_id: str
    sender_id: str
    client_message_id: str | None
    parts: msgspec.Raw
    preview_text: str | None
    created_at: str
    parent_message_id: str | None = None
    parent_message: ParentMessage | None = None
    edited_at: str | None = None
    deleted_at: str | None = None
    deleted_hidden: bool = False
    reactions: list[Reaction] = []
    pinned_at: str | None = None
    pinned_by: str | None = None
    forwarded_from_id: str | None = None
    forwarded_from_sender_id: str | None = None


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a user sends for use in messages (contract 3.9).

    Attributes:
        blob: where its bytes lie in the blob storage; None until they have come.
        status: what is removed is forgotten as soon as its bytes are.
        created_at, expires_at: milliseconds since the epoch; the bytes may come until ``expires_at``.
    """

    id: str
    tenant_id: str
    owner_id: str
    room_id: str | None
    filename: str
    media_type: str
    size_bytes: int
    status: Literal["pending", "completed", "removed"]
    blob: str | None
    created_at: int
    expires_at: int


class Readable(msgspec.Struct, frozen=True):
    """A file that a signed URL opens.

    Attributes:
        blob: where its bytes lie.
        left_s: how long the URL is still good.
        is_inline: a browser may show it; anything else it is to save.
    """

    upload: Upload
    blob: str
    left_s: int
    is_inline: bool


class Storage(msgspec.Struct, frozen=True, rename="camel"):
    """What a tenant's files take (contract endpoint 8); ``pending`` is promised and has not been completed."""

    bytes_used: int
    file_count: int
    pending_bytes: int


class Roster(msgspec.Struct, frozen=True):
    """Who is in a room now, and whether it takes messages: what authorisation and fan-out ask.

    Attributes:
        user_ids: in the order of joining; the tuple is shared, never copied per message.
        members: the same ids, for membership tests.
    """

    tenant_id: str
    room_id: str
    user_ids: tuple[str, ...]
    members: frozenset[str]
    is_frozen: bool


class LogEvent(msgspec.Struct, frozen=True):
    """A durable event, as it stands in its tenant's log and goes to the sockets.

    Attributes:
        number: its place in the log: 1, 2, 3, … without holes.
        epoch: which log that is; with the number it is the offset that clients see.
        payload: one JSON object.
        user_ids: who is to be told, as it was when it happened.
    """

    number: int
    epoch: str
    event: str
    payload: bytes
    user_ids: tuple[str, ...]


class LogSpan(msgspec.Struct, frozen=True):
    """A tenant's log as far as it is kept: the events after ``floor`` and up to ``head``."""

    epoch: str
    floor: int
    head: int


class Return(msgspec.Struct, frozen=True):
    """What there is for the client of a socket that comes back.

    Attributes:
        room_id: the room that it had open.
        has_lost_room: it had one open that its user is no longer in.
        opened_at: when it opened the room, in milliseconds since the epoch; 0 when it had none open.
    """

    log: LogSpan
    room_id: str | None
    has_lost_room: bool
    opened_at: int


class Sent(msgspec.Struct, frozen=True):
    """What storing a message came to.

    Attributes:
        event: for every participant, the sender included; None when this was a repeat, which tells nobody.
        repeated: the message had been stored before under the same ``clientMessageId``.
    """

    message: Message
    event: LogEvent | None
    repeated: bool

    @property
    def recipients(self) -> tuple[str, ...]:
        """Who is to be told."""
        return () if self.event is None else self.event.user_ids


class ReadMark(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to ``read`` (contract endpoint 27)."""

    room_id: str
    user_id: str
    last_read_at: str
    last_read_message_id: str | None
    unread_count: int


class RoomRead(msgspec.Struct, frozen=True, rename="camel"):
    """The payload of ``room-read`` (contract 4.4)."""

    room_id: str
    user_id: str
    last_read_at: str
    last_read_message_id: str | None


class MarkedRead(msgspec.Struct, frozen=True):
    """What a ``read`` came to; ``event`` is None when the mark did not move, which tells nobody."""

    mark: ReadMark
    event: LogEvent | None

    @property
    def recipients(self) -> tuple[str, ...]:
        """Who is to be told."""
        return () if self.event is None else self.event.user_ids


class DeliveryMark(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to ``delivery`` (contract endpoint 28)."""

    room_id: str
    user_id: str
    last_delivered_at: str
    last_delivered_message_id: str | None


class RoomPage(msgspec.Struct, frozen=True, rename="camel"):
    rooms: list[RoomSummary]
    next_cursor: str | None


class SearchPage(msgspec.Struct, frozen=True, rename="camel"):
    """What a user has found: rooms, newest activity first, and messages, newest first."""

    rooms: list[RoomSummary]
    messages: list[Message]
    next_cursor: str | None


class MessageList(msgspec.Struct, frozen=True):
    """Messages that come whole, without pages (contract endpoints 25 and 26)."""

    messages: list[Message]


class ReplyPage(msgspec.Struct, frozen=True, rename="camel"):
    """The replies to one message, newest first."""

    messages: list[Message]
    next_cursor: str | None


class MessagePage(msgspec.Struct, frozen=True, rename="camel"):
    """Newest first (contract endpoint 19)."""

    messages: list[Message]
    next_cursor: str | None
    peer_last_read_at: str | None
    peer_last_delivered_at: str | None
