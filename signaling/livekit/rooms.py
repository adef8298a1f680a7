"""LiveKit's rooms and who is in them. Every operation may be repeated: what is so already is a success."""

from __future__ import annotations

from typing import Final

from livekit.protocol.models import ParticipantInfo, Room
from livekit.protocol.room import (
    CreateRoomRequest,
    DeleteRoomRequest,
    DeleteRoomResponse,
    ListParticipantsRequest,
    ListParticipantsResponse,
    ListRoomsRequest,
    ListRoomsResponse,
    RemoveParticipantResponse,
    RoomParticipantIdentity,
)

from signaling.livekit.tokens import Tokens
from signaling.livekit.twirp import Twirp, TwirpError

EMPTY_S: Final = 600
"""How long LiveKit keeps a room that nobody has entered: longer than any call rings. Only a room that we have forgotten,
having died between making it and storing its call, lasts that long."""

DEPARTED_S: Final = 60
"""How long it keeps one that everybody has left: longer than the reconciler takes to end its call."""


class Rooms:
    """LiveKit's RoomService.

    Each method raises ``TwirpError`` when LiveKit refuses or does not answer.
    """

    def __init__(self, *, twirp: Twirp, tokens: Tokens) -> None:
        self._twirp = twirp
        self._tokens = tokens

    async def create(self, name: str, *, max_participants: int) -> None:
        """Make the room; one that is there stays as it is."""
        request = CreateRoomRequest(
            name=name,
            empty_timeout=EMPTY_S,
            departure_timeout=DEPARTED_S,
            max_participants=max_participants,
        )
        await self._twirp.call("CreateRoom", request, Room, token=self._tokens.create())

    async def delete(self, name: str) -> None:
        """Close the room; whoever is in it is disconnected."""
        try:
            await self._twirp.call(
                "DeleteRoom", DeleteRoomRequest(room=name), DeleteRoomResponse, token=self._tokens.create()
            )
        except TwirpError as error:
            if error.code != "not_found":
                raise

    async def present(self, name: str) -> frozenset[str]:
        """The identities of those who are in the room; nobody when there is none of this name."""
        try:
            answer = await self._twirp.call(
                "ListParticipants",
                ListParticipantsRequest(room=name),
                ListParticipantsResponse,
                token=self._tokens.admin(name),
            )
        except TwirpError as error:
            if error.code == "not_found":
                return frozenset()
            raise
        return frozenset(
            one.identity for one in answer.participants if one.state != ParticipantInfo.State.DISCONNECTED
        )

    async def remove(self, name: str, identity: str, *, now_s: int) -> None:
        """Disconnect one participant.

        Args:
            now_s: seconds since the epoch. A LiveKit that can will refuse his tokens of before; the open-source server
                (1.13) ignores it.
        """
        try:
            await self._twirp.call(
                "RemoveParticipant",
                RoomParticipantIdentity(room=name, identity=identity, revoke_token_ts=now_s),
                RemoveParticipantResponse,
                token=self._tokens.admin(name),
            )
        except TwirpError as error:
            if error.code != "not_found":
                raise

    async def names(self) -> frozenset[str]:
        """The names of all rooms, also of those that other programs made on the same LiveKit."""
        answer = await self._twirp.call(
            "ListRooms", ListRoomsRequest(), ListRoomsResponse, token=self._tokens.list()
        )
        return frozenset(room.name for room in answer.rooms)
