"""The REST surface: the one place that turns a request into an answer.

``Api.route`` is all of REST and knows no server: the lean HTTP loop and the Quart app call the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

import structlog

from gateway.api.answers import encoded, failure, preflight
from gateway.api.auth import Caller
from gateway.api.matching import Matcher, Route
from gateway.api.services import Services
from gateway.api.table import ROUTES
from gateway.errors import Forbidden, GatewayError
from gateway.store.ports import Pending, Replayed
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
        answer = await self.begin(request)
        return answer if isinstance(answer, Response) else await answer.wait()

    async def begin(self, request: Request) -> Response | Due:
        """The answer to one request; or, when all that is left is a write for which no task need wait, its promise."""
        if request.method == "OPTIONS":
            return preflight()
        route = caller = None
        try:
            route, segments = self._match(request.method, request.path)
            if route.who == "livekit":
                answer = await route.handler(self._services, request)
            else:
                caller = await self._services.authenticator.identify(request)
                if route.who != "either" and caller.is_server != (route.who == "key"):
                    needed = "the API key" if route.who == "key" else "a session token"
                    raise Forbidden(f"This needs {needed}.")
                answer = await route.handler(self._services, caller, request, *segments)
            if isinstance(answer, Response):
                return self._shown(answer, request, route)
            written = answer.written
            if isinstance(written, Coroutine):
                return self._shown(answer.answer(await written), request, route)
        except Exception as error:
            return self._failed(error, request, route, caller)

        def conclude() -> Response:
            try:
                return self._shown(answer.answer(written.result()), request, route)
            except Exception as error:
                return self._failed(error, request, route, caller)

        return Due(written, conclude)

    def _shown(self, response: Response, request: Request, route: Route) -> Response:
        """The answer as its client is to read it."""
        if route.answer in self._with_messages:
            # Here for all of them, so that no route forgets to make the URLs of the files in its messages.
            response.body = self._services.links.shown(response.body, origin=request.origin)
        return response

    def _failed(
        self, error: Exception, request: Request, route: Route | None, caller: Caller | None
    ) -> Response:
        """The answer to what a request came to that has no answer of its own."""
        if isinstance(error, (GatewayError, CallError)):
            return failure(error)
        if isinstance(error, Replayed) and route is not None:
            return self._shown(encoded(error.status, error.body), request, route)
        # The row and not the path, which may carry a device's push token; never the body.
        log.error(
            "request ended by an unexpected error",
            route=f"{route.method} {route.path}" if route else None,
            tenant_id=caller.tenant.id if caller else None,
            user_id=caller.user_id if caller else None,
            exc_info=error,
        )
        return failure(GatewayError("Something went wrong here; it has been logged."))


class Due:
    """The answer to a request that waits for a write and nothing else (``net.ports.Due``).

    Args:
        conclude: makes it when the write is done, whatever it came to.
    """

    __slots__ = ("_conclude", "_written")

    def __init__(self, written: Pending[Any], conclude: Callable[[], Response]) -> None:
        self._written = written
        self._conclude = conclude

    async def wait(self) -> Response:
        try:
            await self._written
        except GatewayError as error:  # perhaps too many were waiting, and it has no result
            return failure(error)
        except Exception:
            pass  # which ``conclude`` meets again
        return self._conclude()

    def when_done(self, call: Callable[[Response], None]) -> None:
        conclude = self._conclude
        try:
            self._written.when_done(lambda: call(conclude()))
        except GatewayError as error:
            call(failure(error))


def _with_messages(routes: Iterable[Route]) -> frozenset[type]:
    """The types of answers that are a message or have messages in them."""
    answers = {route.answer for route in routes}
    return frozenset(
        kind for kind in answers if {"parts", "messages"} & set(getattr(kind, "__struct_fields__", ()))
    )
