"""Routes on users and their session tokens (contract 2.1)."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.api import parse
from gateway.api.answers import created, ok
from gateway.api.auth import Caller
from gateway.api.idempotency import once
from gateway.api.services import Services
from gateway.records import iso
from gateway.store.ports import Revocation
from gateway.wire.http import Request, Response

UserId = Annotated[str, Meta(min_length=1, max_length=255)]
Name = Annotated[str, Meta(min_length=1, max_length=255)]


class UserBody(msgspec.Struct, frozen=True, rename="camel"):
    id: UserId
    username: Name | None = None
    app_code: Annotated[str, Meta(max_length=255)] | UnsetType | None = UNSET
    avatar_url: Annotated[str, Meta(max_length=8192)] | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType | None = UNSET


class TokenBody(msgspec.Struct, frozen=True, rename="camel"):
    user_id: UserId
    expires_in: int | None = None
    display_name: Name | None = None


class RevokedSessions(msgspec.Struct, frozen=True, rename="camel"):
    """Session tokens that were made up to this moment are good no more."""

    revoked_at: str


class UsersQuery(msgspec.Struct, frozen=True, rename="camel"):
    q: Annotated[str, Meta(max_length=255)] = ""
    limit: int = 50
    cursor: str | None = None


_USER: Final = msgspec.json.Decoder(UserBody)
_TOKEN: Final = msgspec.json.Decoder(TokenBody)


async def post_user(services: Services, caller: Caller, request: Request) -> Response:
    body = parse.body(request, _USER)
    user = await services.users.upsert(
        caller.tenant.id,
        body.id,
        username=body.username,
        app_code=body.app_code,
        avatar_url=body.avatar_url,
        metadata=body.metadata,
        once=once(request, caller, ok),
    )
    return ok(user)


async def list_users(services: Services, caller: Caller, request: Request) -> Response:
    query = parse.query(request, UsersQuery)
    limit = parse.page_size(query.limit)
    page = await services.users.page(caller.tenant.id, text=query.q.strip(), limit=limit, cursor=query.cursor)
    return ok(page)


async def post_token(services: Services, caller: Caller, request: Request) -> Response:
    body = parse.body(request, _TOKEN)
    # Minted first, so that the answer kept for an idempotency key is this very token.
    session = await services.minter.mint(caller.tenant, body.user_id, expires_in_s=body.expires_in)
    await services.users.recognise(
        caller.tenant.id,
        body.user_id,
        display_name=body.display_name,
        once=once(request, caller, lambda _: created(session)),
    )
    return created(session)


async def revoke_sessions(services: Services, caller: Caller, request: Request, user_id: str) -> Response:
    """Sign a user out everywhere."""
    revocation = await services.revocations.revoke(
        caller.tenant.id, user_id=user_id, once=once(request, caller, _revoked)
    )
    return _revoked(revocation)


async def revoke_session(services: Services, caller: Caller, request: Request) -> Response:
    """Sign out with the token of this request, and with no other."""
    revocation = await services.revocations.revoke(caller.tenant.id, user_id=caller.user_id, jti=caller.jti)
    return _revoked(revocation)


def _revoked(revocation: Revocation) -> Response:
    return ok(RevokedSessions(iso(revocation.revoked_at)))
