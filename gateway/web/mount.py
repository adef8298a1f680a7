"""The REST surface inside Quart: the same ``route(request)`` that the lean HTTP loop calls.

It is reached when a kept-alive connection is Quart's already, for chunked bodies, and for HTTP/2.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias, cast

import quart
from hypercorn.typing import HTTPScope

from gateway.wire.http import Request, Response

Api: TypeAlias = Callable[[Request], Awaitable[Response]]

PREFIXES = (b"/v1/", b"/socket.io/", b"/metrics")
"""What the application answers itself, whoever holds the connection: REST, long-polling, and what is counted."""


def scope_of(request: quart.Request) -> HTTPScope:
    return cast(HTTPScope, request.scope)


async def answer_api(request: quart.Request, api: Api) -> quart.Response:
    """Read the body, call ``api``, and put its answer into Quart's clothes.

    Raises:
        RequestEntityTooLarge: the body is over ``MAX_CONTENT_LENGTH``, declared or counted while it came in.
        RequestTimeout: it took longer than ``BODY_TIMEOUT``.
    """
    scope = scope_of(request)
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    client = scope["client"]
    body = cast(bytes, await request.get_data(cache=False))  # text only when asked for as text
    response = await api(
        Request(
            scope["method"],
            scope["raw_path"].decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            body=body,
            peer=client[0] if client else "",
            secure=scope["scheme"] == "https",
        )
    )
    answer = quart.Response(response.body, response.status, content_type=response.content_type)
    answer.headers.extend(response.headers)
    if response.close and scope["http_version"] < "2":  # HTTP/2 has no such header
        answer.headers["Connection"] = "close"
    return answer
