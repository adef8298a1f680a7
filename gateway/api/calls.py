"""Routes on calls (contract 2.6, 5)."""

from __future__ import annotations

from functools import partial
from typing import Final, Literal

import msgspec

from gateway.api import parse
from gateway.api.answers import created, ok
from gateway.api.auth import Caller
from gateway.api.idempotency import once
from gateway.api.services import Services
from gateway.chat.calling import policy
from gateway.records import iso
from gateway.wire.http import Request, Response
from signaling.call import Call, CallType, Standing, Status
from signaling.calls import Calls, Who
from signaling.ports import Changed, MediaAccess, Policy


class StartBody(msgspec.Struct, frozen=True):
    type: CallType | None = None


class EndBody(msgspec.Struct, frozen=True):
    reason: Literal["cancelled", "no_answer"] | None = None


class CallsQuery(msgspec.Struct, frozen=True, rename="camel"):
    viewer_id: str | None = None
    limit: int = 50
    cursor: str | None = None


class CallParticipant(msgspec.Struct, frozen=True, rename="camel"):
    """Somebody's part in a call, and what has become of it."""

    user_id: str
    status: Standing
    joined_at: str | None
    left_at: str | None


class CallRecord(msgspec.Struct, frozen=True, rename="camel"):
    """A call as clients read it (contract 3.7)."""

    id: str
    room_id: str
    type: CallType
    status: Status
    livekit_room_name: str
    created_by_user_id: str
    is_group: bool
    created_at: str
    started_at: str | None
    ended_at: str | None
    end_reason: str | None
    participants: list[CallParticipant]


class CallView(CallRecord, frozen=True, rename="camel"):
    """The same, once more inside itself: clients read it the one way or the other (contract 10, row 3)."""

    call: CallRecord


class JoinedCall(msgspec.Struct, frozen=True, rename="camel"):
    """A call and the way into its media."""

    call: CallRecord
    livekit: MediaAccess
    ring_timeout_seconds: int


class CallToken(MediaAccess, frozen=True, rename="camel"):
    """The way into the media, at the top and inside ``livekit`` (contract 10, row 4)."""

    livekit: MediaAccess


class ActiveCall(msgspec.Struct, frozen=True):
    call: CallRecord


class CallPage(msgspec.Struct, frozen=True, rename="camel"):
    """Newest first."""

    calls: list[CallRecord]
    next_cursor: str | None


_START: Final = msgspec.json.Decoder(StartBody)
_END: Final = msgspec.json.Decoder(EndBody)


async def get_active_call(services: Services, caller: Caller, request: Request, room_id: str) -> Response:
    call = await services.calls.active(caller.tenant.id, room_id, parse.own_id(caller))
    return ok(ActiveCall(_record(call)))


async def list_calls(services: Services, caller: Caller, request: Request, room_id: str) -> Response:
    query = parse.query(request, CallsQuery)
    viewer_id = parse.viewing_user(caller, query.viewer_id, "viewerId")
    limit = parse.page_size(query.limit)
    calls, next_cursor = await services.calls.page(
        caller.tenant.id, room_id, viewer_id=viewer_id, limit=limit, cursor=query.cursor
    )
    return ok(CallPage([_record(call) for call in calls], next_cursor))


async def post_call(services: Services, caller: Caller, request: Request, room_id: str) -> Response:
    body = parse.body(request, _START)
    answer = partial(_joined, services.calls, parse.own_id(caller))
    return answer(
        await services.calls.start(
            _who(caller),
            room_id,
            type=body.type,
            policy=_policy(services, caller),
            once=once(request, caller, answer),
        )
    )


async def post_accept(
    services: Services, caller: Caller, request: Request, room_id: str, call_id: str
) -> Response:
    answer = partial(_joined, services.calls, parse.own_id(caller))
    return answer(
        await services.calls.accept(
            _who(caller),
            room_id,
            call_id,
            policy=_policy(services, caller),
            once=once(request, caller, answer),
        )
    )


async def post_call_token(
    services: Services, caller: Caller, request: Request, room_id: str, call_id: str
) -> Response:
    answer = partial(_token, services.calls, parse.own_id(caller))
    return answer(
        await services.calls.token(
            _who(caller),
            room_id,
            call_id,
            policy=_policy(services, caller),
            once=once(request, caller, answer),
        )
    )


async def post_decline(
    services: Services, caller: Caller, request: Request, room_id: str, call_id: str
) -> Response:
    return _viewed(
        await services.calls.decline(
            _who(caller),
            room_id,
            call_id,
            policy=_policy(services, caller),
            once=once(request, caller, _viewed),
        )
    )


async def post_end(
    services: Services, caller: Caller, request: Request, room_id: str, call_id: str
) -> Response:
    body = parse.body(request, _END)
    return _viewed(
        await services.calls.end(
            _who(caller),
            room_id,
            call_id,
            unanswered=body.reason == "no_answer",
            policy=_policy(services, caller),
            once=once(request, caller, _viewed),
        )
    )


async def post_leave(
    services: Services, caller: Caller, request: Request, room_id: str, call_id: str
) -> Response:
    return _viewed(
        await services.calls.leave(
            _who(caller),
            room_id,
            call_id,
            policy=_policy(services, caller),
            once=once(request, caller, _viewed),
        )
    )


def _who(caller: Caller) -> Who:
    return Who(caller.tenant.id, parse.own_id(caller), caller.jti)


def _policy(services: Services, caller: Caller) -> Policy:
    return policy(services.tenants.settings(caller.tenant).calls)


def _joined(calls: Calls, user_id: str, changed: Changed) -> Response:
    call = changed.call
    joined = JoinedCall(_record(call), calls.access(call, user_id), call.ring_s)
    return created(joined) if changed.change.before is None else ok(joined)


def _token(calls: Calls, user_id: str, changed: Changed) -> Response:
    access = calls.access(changed.call, user_id)
    return ok(CallToken(access.url, access.token, access.expires_at, access))


def _viewed(changed: Changed) -> Response:
    record = _record(changed.call)
    return ok(CallView(**msgspec.structs.asdict(record), call=record))


def _record(call: Call) -> CallRecord:
    return CallRecord(
        id=call.id,
        room_id=call.room_id,
        type=call.type,
        status=call.status,
        livekit_room_name=call.media_room,
        created_by_user_id=call.created_by,
        is_group=call.is_group,
        created_at=iso(call.created_at),
        started_at=_iso(call.started_at),
        ended_at=_iso(call.ended_at),
        end_reason=call.end_reason,
        participants=[
            CallParticipant(party.user_id, party.standing, _iso(party.joined_at), _iso(party.left_at))
            for party in call.parties
        ],
    )


def _iso(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)
