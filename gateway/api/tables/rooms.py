"""Rows of the table of routes: rooms and who takes part in them."""

from __future__ import annotations

from typing import Final

from gateway.api import participants, rooms
from gateway.api.matching import Route
from gateway.chat.participants import ClearedHistory, DeletedForMe
from gateway.records import RoomDetail, RoomPage

ROOMS: Final = (
    Route(
        method="GET",
        path="/v1/chat/rooms",
        handler=rooms.list_rooms,
        who="either",
        summary="List rooms, newest activity first",
        query=rooms.RoomsQuery,
        answer=RoomPage,
    ),
    Route(
        method="POST",
        path="/v1/chat/rooms",
        handler=rooms.post_room,
        who="either",
        summary="Create a room, or find it by externalId",
        body=rooms.RoomBody,
        answer=RoomDetail,
        statuses=(201, 200),
    ),
    Route(
        method="GET",
        path="/v1/chat/rooms/{roomId}",
        handler=rooms.get_room,
        who="either",
        summary="Read a room with its participants",
        query=rooms.RoomQuery,
        answer=RoomDetail,
    ),
    Route(
        method="PATCH",
        path="/v1/chat/rooms/{roomId}",
        handler=rooms.patch_room,
        who="either",
        summary="Change a room (session tokens: operators only)",
        body=rooms.RoomPatchBody,
        answer=RoomDetail,
        errors=(403,),
    ),
    Route(
        method="POST",
        path="/v1/chat/rooms/{roomId}/participants",
        handler=participants.post_participant,
        who="either",
        summary="Let somebody into a room (session tokens: operators, and not into a direct conversation)",
        body=participants.JoinBody,
        answer=RoomDetail,
        errors=(403, 429),
    ),
    Route(
        method="DELETE",
        path="/v1/chat/rooms/{roomId}/participants/{userId}",
        handler=participants.delete_participant,
        who="either",
        summary="Leave a room, or remove somebody from it (session tokens: operators)",
        query=participants.ActorQuery,
        answer=RoomDetail,
        errors=(403, 429),
    ),
    Route(
        method="PATCH",
        path="/v1/chat/rooms/{roomId}/participants/{userId}",
        handler=participants.patch_participant,
        who="either",
        summary="Make a participant an operator or a member (session tokens: operators only)",
        body=participants.RoleBody,
        answer=RoomDetail,
        errors=(403,),
    ),
    Route(
        method="DELETE",
        path="/v1/chat/rooms/{roomId}/for-me",
        handler=participants.delete_room_for_me,
        who="either",
        summary="Leave a group, or hide a direct conversation until its next message",
        query=participants.OwnRoomQuery,
        answer=DeletedForMe,
    ),
    Route(
        method="POST",
        path="/v1/chat/rooms/{roomId}/clear-history",
        handler=participants.post_clear_history,
        who="either",
        summary="Make what was said so far disappear for one user",
        body=participants.ClearBody,
        answer=ClearedHistory,
    ),
)
