"""The REST surface: one table of routes, and the one place that turns a request into an answer.

``Api.route`` is all of REST and knows no server: the lean HTTP loop and the Quart app call the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from gateway.api import messages, receipts, rooms, tenants, users
from gateway.api.answers import encoded, failure, preflight
from gateway.api.auth import Session
from gateway.api.matching import Matcher, Route
from gateway.api.services import Services
from gateway.chat.tenants import SettingsPatch, SettingsView
from gateway.errors import Forbidden, GatewayError
from gateway.records import Message, MessagePage, ReadMark, RoomDetail, RoomPage, User
from gateway.store.ports import Replayed
from gateway.wire.http import Request, Response

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

log = structlog.stdlib.get_logger(__name__)


class Api:
    """Answers every request below ``/v1``.

    Args:
        routes: the table; another one than ``ROUTES`` is for tests.
    """

    def __init__(self, services: Services, *, routes: Sequence[Route] = ROUTES) -> None:
        self._services = services
        self._match = Matcher(routes).match

    async def route(self, request: Request) -> Response:
        """The answer to one request. Never raises but ``Cancelled``: here alone errors become answers."""
        if request.method == "OPTIONS":
            return preflight()
        route = caller = None
        try:
            route, segments = self._match(request.method, request.path)
            caller = await self._services.authenticator.identify(request)
            if route.who != "either" and caller.is_server != (route.who == "key"):
                needed = "the API key" if route.who == "key" else "a session token"
                raise Forbidden(f"This needs {needed}.")
            return await route.handler(self._services, caller, request, *segments)
        except Replayed as replayed:
            return encoded(replayed.status, replayed.body)
        except GatewayError as error:
            return failure(error)
        except Exception:
            # The row and not the path, which may carry a device's push token; never the body.
            log.exception(
                "request ended by an unexpected error",
                route=f"{route.method} {route.path}" if route else None,
                tenant_id=caller.tenant.id if caller else None,
                user_id=caller.user_id if caller else None,
            )
            return failure(GatewayError("Something went wrong here; it has been logged."))
