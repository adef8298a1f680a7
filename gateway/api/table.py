"""The table of routes: who may ask what, what it takes, and what it answers. All of REST is in it."""

from __future__ import annotations

from typing import Final

from gateway.api import messages, receipts, rooms, tenants, users
from gateway.api.auth import Session
from gateway.api.matching import Route
from gateway.chat.tenants import SettingsPatch, SettingsView
from gateway.records import Message, MessagePage, ReadMark, RoomDetail, RoomPage, User

ROUTES: Final = (
    Route(
        method="POST",
        path="/v1/users",
        handler=users.post_user,
        who="key",
        summary="Create or update a user",
        body=users.UserBody,
        answer=User,
    ),
    Route(
        method="POST",
        path="/v1/auth/token",
        handler=users.post_token,
        who="key",
        summary="Mint a session token for a user",
        body=users.TokenBody,
        answer=Session,
        statuses=(201,),
        errors=(404,),
    ),
    Route(
        method="GET",
        path="/v1/tenant/settings",
        handler=tenants.get_settings,
        who="either",
        summary="Read the tenant's settings",
        answer=SettingsView,
    ),
    Route(
        method="PATCH",
        path="/v1/tenant/settings",
        handler=tenants.patch_settings,
        who="key",
        summary="Change the tenant's settings",
        body=SettingsPatch,
        answer=SettingsView,
    ),
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
        method="GET",
        path="/v1/chat/rooms/{roomId}/messages",
        handler=messages.list_messages,
        who="either",
        summary="List messages, newest first",
        query=messages.MessagesQuery,
        answer=MessagePage,
    ),
    Route(
        method="POST",
        path="/v1/chat/rooms/{roomId}/messages",
        handler=messages.post_message,
        who="either",
        summary="Send a message",
        body=messages.MessageBody,
        answer=Message,
        statuses=(201,),
        errors=(403, 429),
    ),
    Route(
        method="POST",
        path="/v1/chat/rooms/{roomId}/read",
        handler=receipts.post_read,
        who="either",
        summary="Move the read mark forward",
        body=receipts.ReadBody,
        answer=ReadMark,
    ),
)
