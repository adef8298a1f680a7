"""What comes in over sockets, decoded: the events of clients (contract 4.3), and what nodes tell each other of them."""

from __future__ import annotations

import msgspec


class RoomEvent(msgspec.Struct, rename="camel"):
    """``join-room`` and ``leave-room``."""

    room_id: str
    user_id: str | None = None


class TypingEvent(msgspec.Struct, rename="camel"):
    room_id: str
    is_typing: bool
    user_id: str | None = None


class Expelled(msgspec.Struct, frozen=True, array_like=True):
    """Said to the other nodes: the user is no longer in the room. What a later version says behind it is left alone."""

    tenant_id: str
    user_id: str
    room_id: str


decode_expelled = msgspec.json.Decoder(Expelled).decode
