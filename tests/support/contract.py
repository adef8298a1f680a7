"""What clients read, as strictly as the strictest of them casts it (contract 3 and 4.4).

Written from the contract and not from the gateway's own records: a renamed or missing key must fail here.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

Iso: TypeAlias = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
Id: TypeAlias = Annotated[str, Meta(min_length=1)]


class Part(msgspec.Struct, frozen=True):
    type: str
    text: str | None = None


class Reaction(msgspec.Struct, frozen=True, rename="camel"):
    user_id: str
    emoji: str


class ParentMessage(msgspec.Struct, frozen=True, rename="camel"):
    id: Id
    sender_id: Id
    parts: list[Part]
    preview_text: str | None
    deleted: bool


class Message(msgspec.Struct, frozen=True, rename="camel"):
    id: Id
    room_id: Id
    sender_id: Id
    client_message_id: str | None
    parts: list[Part]
    preview_text: str | None
    created_at: Iso
    parent_message_id: str | None
    parent_message: ParentMessage | None
    edited_at: Iso | None
    deleted_at: Iso | None
    deleted_hidden: bool
    reactions: list[Reaction]
    pinned_at: Iso | None
    pinned_by: str | None
    forwarded_from_id: str | None
    forwarded_from_sender_id: str | None

    @property
    def text(self) -> str:
        return "\n".join(part.text or "" for part in self.parts if part.type == "text")


class LastMessage(msgspec.Struct, frozen=True, rename="camel"):
    preview_text: str | None
    created_at: Iso


class RoomSummary(msgspec.Struct, frozen=True, rename="camel"):
    id: Id
    name: str | None
    avatar_url: str | None
    external_id: str | None
    custom_type: str | None
    metadata: dict[str, Any] | None
    is_frozen: bool
    last_message: LastMessage | None
    unread_count: int
    last_read_message_id: str | None
    created_at: Iso


class Participant(msgspec.Struct, frozen=True, rename="camel"):
    user_id: Id
    role: Literal["OPERATOR", "MEMBER"]
    username: str | None = None


class RoomDetail(RoomSummary, frozen=True, rename="camel"):
    participants: list[Participant]


class RoomPage(msgspec.Struct, frozen=True, rename="camel"):
    rooms: list[RoomSummary]
    next_cursor: str | None


class MessagePage(msgspec.Struct, frozen=True, rename="camel"):
    messages: list[Message]
    next_cursor: str | None
    peer_last_read_at: Iso | None
    peer_last_delivered_at: Iso | None = None


class Presence(msgspec.Struct, frozen=True, rename="camel"):
    user_id: Id
    online: bool


class Snapshot(msgspec.Struct, frozen=True, rename="camel"):
    online_user_ids: list[Id]


class Typing(msgspec.Struct, frozen=True, rename="camel"):
    room_id: Id
    user_id: Id
    is_typing: bool


class RoomRead(msgspec.Struct, frozen=True, rename="camel"):
    room_id: Id
    user_id: Id
    last_read_at: Iso
    last_read_message_id: str | None


class ParticipantsChanged(msgspec.Struct, frozen=True, rename="camel"):
    room_id: Id
    action: Literal["joined", "left", "removed"]
    target_user_id: Id
    actor_user_id: Id | None = None


class RoomName(msgspec.Struct, frozen=True, rename="camel"):
    room_id: Id


class CallInvite(msgspec.Struct, frozen=True, rename="camel"):
    call_id: Id
    room_id: Id
    type: Literal["audio", "video"]
    created_by_user_id: Id
    livekit_room_name: Id


class CallAnswer(msgspec.Struct, frozen=True, rename="camel"):
    call_id: Id
    room_id: Id
    user_id: Id


class CallEnded(msgspec.Struct, frozen=True, rename="camel"):
    call_id: Id
    room_id: Id
    reason: str


class Failure(msgspec.Struct, frozen=True):
    message: Annotated[str, Meta(min_length=1)]


class ErrorBody(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Every error body (D4)."""

    status_code: int
    error: Annotated[str, Meta(min_length=1)]
    message: Annotated[str, Meta(min_length=1)]
    code: Annotated[str, Meta(pattern=r"^[a-z_]+$")]


EVENTS: dict[str, type[msgspec.Struct]] = {
    "new-message": Message,
    "message-updated": Message,
    "presence": Presence,
    "presence-snapshot": Snapshot,
    "tenant-presence": Presence,
    "tenant-presence-snapshot": Snapshot,
    "typing": Typing,
    "room-read": RoomRead,
    "room-participants-changed": ParticipantsChanged,
    "call-invite": CallInvite,
    "call-accepted": CallAnswer,
    "call-declined": CallAnswer,
    "call-ended": CallEnded,
    "joined-room": RoomName,
    "left-room": RoomName,
    "error": Failure,
}


# msgspec works out a Struct's fields at its first use, and crashes when two threads do so at once; clients have threads.
for _shape in (*EVENTS.values(), RoomDetail, RoomPage, MessagePage, ErrorBody):
    msgspec.json.Decoder(_shape)


# Events that a client must be able to go on from when it comes back (D12).
DURABLE = {"new-message", "message-updated", "room-read", "room-participants-changed"}


def is_durable(event: str) -> bool:
    """Whether it is kept in the log. Of calls some are and some are not."""
    return event in DURABLE


def check_event(event: str, arguments: list[Any]) -> dict[str, Any]:
    """The payload of a server's event, as a published client takes it: exactly one object, with every key it casts. Behind
    that of a durable event stands its offset (D12), of which published clients in JavaScript take no notice.

    Raises:
        AssertionError: a published client would misread it or throw.
    """
    payload, *offset = arguments
    if is_durable(event) or (offset and event.startswith("call-")):
        assert len(offset) == 1, f"{event} must carry its offset, not {offset!r}"
        check_offset(offset[0])
    else:
        assert not offset, f"{event} must carry exactly one argument, not {arguments!r}"
    return check_payload(event, payload)


def check_offset(offset: Any) -> None:
    """
    Raises:
        AssertionError: it is none of ours.
    """
    assert isinstance(offset, str), offset
    assert re.fullmatch(r"[0-9a-f]+-[1-9]\d*", offset), f"no offset: {offset!r}"


def check_payload(event: str, payload: Any) -> dict[str, Any]:
    """
    Raises:
        AssertionError: a published client would misread it or throw.
    """
    assert event in EVENTS, f"no client knows the event {event!r}"
    assert isinstance(payload, dict), f"{event} must carry an object, not {payload!r}"
    try:
        msgspec.convert(payload, EVENTS[event])
    except msgspec.ValidationError as error:
        raise AssertionError(f"{event}: {error}: {payload!r}") from error
    return payload
