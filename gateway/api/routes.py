"""The REST surface: the one place that turns a request into an answer.

``Api.route`` is all of REST and knows no server: the lean HTTP loop and the Quart app call the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import structlog

from gateway.api.answers import encoded, failure, preflight
from gateway.api.matching import Matcher, Route
from gateway.api.services import Services
from gateway.api.table import ROUTES
from gateway.errors import Forbidden, GatewayError
from gateway.store.ports import Replayed
from gateway.wire.http import Request, Response
from signaling.errors import CallError

log = structlog.stdlib.get_logger(__name__)


class Api:
    """Answers every request below ``/v1``.

    Args:
        routes: the table; another one than ``ROUTES`` is for tests.
    """

    def __init__(self, services: Services, *, routes: Sequence[Route] = ROUTES) -> None:
        self._services = services
        self._match = Matcher(routes).match
        self._with_messages = _with_messages(routes)

    async def route(self, request: Request) -> Response:
        """The answer to one request. Never raises but ``Cancelled``: here alone errors become answers."""
        if request.method == "OPTIONS":
            return preflight()
        route = caller = None
        try:
            route, segments = self._match(request.method, request.path)
            if route.who == "livekit":
                return await route.handler(self._services, request)
            caller = await self._services.authenticator.identify(request)
            if route.who != "either" and caller.is_server != (route.who == "key"):
                needed = "the API key" if route.who == "key" else "a session token"
                raise Forbidden(f"This needs {needed}.")
            try:
                response = await route.handler(self._services, caller, request, *segments)
            except Replayed as replayed:
                response = encoded(replayed.status, replayed.body)
            if route.answer in self._with_messages:
                # Here for all of them, so that no route forgets to make the URLs of the files in its messages.
                response.body = self._services.links.shown(response.body, origin=request.origin)
            return response
        except (GatewayError, CallError) as error:
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


def _with_messages(routes: Iterable[Route]) -> frozenset[type]:
    """The types of answers that are a message or have messages in them."""
    answers = {route.answer for route in routes}
    return frozenset(
        kind for kind in answers if {"parts", "messages"} & set(getattr(kind, "__struct_fields__", ()))
    )
