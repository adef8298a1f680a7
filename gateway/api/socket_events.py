"""What comes in over sockets, decoded: the events of clients (contract 4.3), and what nodes tell each other of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec

from gateway.errors import InvalidRequest


class RoomEvent(msgspec.Struct, rename="camel"):
    room_id: str
    user_id: str | None = None


class TypingEvent(msgspec.Struct, rename="camel"):
    room_id: str
    is_typing: bool
    user_id: str | None = None


class JoinRoom(msgspec.Struct, array_like=True, tag="join-room"):
    payload: RoomEvent


class LeaveRoom(msgspec.Struct, array_like=True, tag="leave-room"):
    payload: RoomEvent | str


class TypingSaid(msgspec.Struct, array_like=True, tag="typing"):
    payload: TypingEvent


ClientEvent: TypeAlias = JoinRoom | LeaveRoom | TypingSaid
"""What clients say: ``["typing",{"roomId":…}]``. Further arguments are left alone."""

decode_event = msgspec.json.Decoder(ClientEvent).decode

_KINDS: Final[Mapping[str, tuple[type[ClientEvent], Any]]] = {
    "join-room": (JoinRoom, RoomEvent),
    "leave-room": (LeaveRoom, RoomEvent | str),
    "typing": (TypingSaid, TypingEvent),
}


def read_event(data: list[Any]) -> ClientEvent:
    """The event that ``decode_event`` did not take, or what is wrong with it.

    Raises:
        InvalidRequest: it is none of ours, or malformed; the message says how.
    """
    name = data[0]
    if name not in _KINDS:
        raise InvalidRequest(f"Unknown event: {name[:64]}.")
    kind, payload = _KINDS[name]
    try:
        return kind(msgspec.convert(data[1] if len(data) > 1 else None, payload))
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"Malformed {name}: {error}.") from error


class Expelled(msgspec.Struct, frozen=True, array_like=True):
    """Said to the other nodes: the user is no longer in the room. What a later version says behind it is left alone."""

    tenant_id: str
    user_id: str
    room_id: str


decode_expelled = msgspec.json.Decoder(Expelled).decode
