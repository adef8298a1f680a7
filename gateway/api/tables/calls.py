"""Rows of the table of routes: calls."""

from __future__ import annotations

from typing import Final

from gateway.api import calls, livekit_hooks
from gateway.api.matching import Route

_CALL: Final = "/v1/chat/rooms/{roomId}/calls/{callId}"

CALLS: Final = (
    Route(
        method="GET",
        path="/v1/chat/rooms/{roomId}/calls",
        handler=calls.list_calls,
        who="either",
        summary="List the calls of a room, newest first",
        query=calls.CallsQuery,
        answer=calls.CallPage,
    ),
    Route(
        method="POST",
        path="/v1/chat/rooms/{roomId}/calls",
        handler=calls.post_call,
        who="session",
        summary="Call everybody in the room, or join the call that is there",
        body=calls.StartBody,
        answer=calls.JoinedCall,
        statuses=(201, 200),
        errors=(403, 409, 429, 503),
    ),
    Route(
        method="GET",
        path="/v1/chat/rooms/{roomId}/calls/active",
        handler=calls.get_active_call,
        who="session",
        summary="Read the call that rings or is active",
        answer=calls.ActiveCall,
    ),
    Route(
        method="POST",
        path=f"{_CALL}/accept",
        handler=calls.post_accept,
        who="session",
        summary="Answer a call, or join one",
        answer=calls.JoinedCall,
        errors=(403, 409, 503),
    ),
    Route(
        method="POST",
        path=f"{_CALL}/decline",
        handler=calls.post_decline,
        who="session",
        summary="Turn a call down",
        answer=calls.CallView,
        errors=(403, 409, 503),
    ),
    Route(
        method="POST",
        path=f"{_CALL}/end",
        handler=calls.post_end,
        who="session",
        summary="End a call (in a group: who started it)",
        body=calls.EndBody,
        answer=calls.CallView,
        errors=(403, 503),
    ),
    Route(
        method="POST",
        path=f"{_CALL}/leave",
        handler=calls.post_leave,
        who="session",
        summary="Hang up",
        answer=calls.CallView,
        errors=(403, 503),
    ),
    Route(
        method="POST",
        path=f"{_CALL}/token",
        handler=calls.post_call_token,
        who="session",
        summary="Be given a way into the media of a call; this joins it",
        answer=calls.CallToken,
        errors=(403, 409, 429, 503),
    ),
    Route(
        method="POST",
        path="/v1/livekit/webhook",
        handler=livekit_hooks.post_livekit_webhook,
        who="livekit",
        summary="Where LiveKit reports who has come and gone",
        answer=livekit_hooks.TakenWebhook,
        changes_nothing=True,
    ),
)
