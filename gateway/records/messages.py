"""Messages, and how far each participant has read them (contract 3.4 to 3.6)."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.records.log import LogEvent
from gateway.records.rooms import RoomSummary

# Types of parts about calls and membership. A client that could write or change them could invent both.
SERVER_MADE: Final = frozenset({"data-call", "data-membership"})


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


class MessageList(msgspec.Struct, frozen=True):
    """Messages that come whole, without pages (contract endpoints 25 and 26)."""

    messages: list[Message]


class MessagePage(msgspec.Struct, frozen=True, rename="camel"):
    """Newest first (contract endpoint 19)."""

    messages: list[Message]
    next_cursor: str | None
    peer_last_read_at: str | None
    peer_last_delivered_at: str | None


class ReplyPage(msgspec.Struct, frozen=True, rename="camel"):
    """The replies to one message, newest first."""

    messages: list[Message]
    next_cursor: str | None


class SearchPage(msgspec.Struct, frozen=True, rename="camel"):
    """What a user has found: rooms, newest activity first, and messages, newest first."""

    rooms: list[RoomSummary]
    messages: list[Message]
    next_cursor: str | None


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
