"""The site with parts that a test can see through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from quart_trio import QuartTrio

from gateway.api.answers import failure
from gateway.web.site import create_web
from gateway.wire.http import Request, Response
from tests.web.asgi import NoFiles

MAX_BODY = 4_096


class Surroundings:
    """What the gateway would hand to the site.

    Attributes:
        requests: what reached the API, in order.
        answer: what the API says next.
        checks: what readiness says.
        files: which are none.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[Request], Response] = lambda request: Response(200, b"{}")
        self.checks = {"store": True, "bus": True}
        self.files = NoFiles()

    async def api(self, request: Request) -> Response:
        self.requests.append(request)
        return self.answer(request)

    async def ready(self) -> dict[str, bool]:
        return self.checks

    def openapi(self) -> dict[str, Any]:
        return {"openapi": "3.1.0", "info": {"title": "Gateway", "version": "1"}, "paths": {}}


@pytest.fixture
def around() -> Surroundings:
    return Surroundings()


@pytest.fixture
def site(around: Surroundings) -> QuartTrio:
    return create_web(
        api=around.api,
        ready=around.ready,
        openapi=around.openapi,
        failure=failure,
        files=around.files,
        max_body=MAX_BODY,
        body_s=5.0,
        write_s=5.0,
    )
