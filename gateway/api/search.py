"""The route that finds again what was said (beside the contract, D13)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.api import parse
from gateway.api.answers import ok
from gateway.api.auth import Caller
from gateway.api.services import Services
from gateway.store.ports import Scope, SearchQuery
from gateway.wire.http import Request, Response


class SearchParameters(msgspec.Struct, frozen=True, rename="camel"):
    q: Annotated[str, Meta(min_length=1, max_length=255)]
    scope: Scope = "all"
    viewer_id: str | None = None
    room_id: str | None = None
    participant_id: str | None = None
    limit: int = 50
    cursor: str | None = None


async def search(services: Services, caller: Caller, request: Request) -> Response:
    query = parse.query(request, SearchParameters)
    return ok(
        await services.search.find(
            SearchQuery(
                tenant_id=caller.tenant.id,
                viewer_id=parse.acting_user(caller, query.viewer_id, "viewerId"),
                text=query.q,
                scope=query.scope,
                room_id=query.room_id,
                participant_id=query.participant_id,
                limit=parse.page_size(query.limit),
                cursor=query.cursor,
            ),
            by_server=caller.is_server,
        )
    )
