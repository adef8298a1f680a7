"""From method and path to a route: one walk over a tree of path segments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote

import msgspec

from gateway.api.later import Later
from gateway.errors import InvalidRequest, MethodNotAllowed, NotFound
from gateway.wire.http import Response

Handler: TypeAlias = Callable[..., Awaitable[Response | Later[Any]]]
Who: TypeAlias = Literal["key", "session", "either", "livekit"]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the REST table.

    Attributes:
        method, path: ``{name}`` in the path is one segment, handed to the handler percent-decoded, in order.
        handler: ``async (services, caller, request, *segments) -> Response``, or what comes ``Later``.
        who: which credentials reach it: the tenant's API key, a user's session token, or both; or LiveKit's signature,
            which the handler checks itself, being called without a caller.
        summary: one line for the reference.
        answer: the type of the success body.
        statuses: what success answers with.
        errors: refusals of its own, besides those that follow from the rest of the row.
        changes_nothing: a POST that only reads, and takes no ``Idempotency-Key``.
        body, query: the types of what it reads, if it does.
    """

    method: str
    path: str
    handler: Handler
    who: Who
    summary: str
    answer: type
    statuses: tuple[int, ...] = (200,)
    errors: tuple[int, ...] = ()
    changes_nothing: bool = False
    body: type | None = None
    query: type | None = None


class _Node:
    __slots__ = ("allow", "children", "methods", "wildcard")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.wildcard: _Node | None = None
        self.methods: dict[str, Route] = {}
        self.allow = ""


class Matcher:
    """The routes as a tree. A literal segment goes before ``{name}``: ``/users/me`` is never user "me"."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        node = self._root
        for segment in route.path.split("/")[1:]:
            if segment.startswith("{"):
                node.wildcard = node.wildcard or _Node()
                node = node.wildcard
            else:
                node = node.children.setdefault(segment, _Node())
        if route.method in node.methods:
            raise ValueError(f"two routes for {route.method} {route.path}")
        node.methods[route.method] = route
        if route.method == "GET":
            node.methods["HEAD"] = route
        node.allow = ", ".join([*sorted(node.methods), "OPTIONS"])

    def match(self, method: str, path: str) -> tuple[Route, list[str]]:
        """The route and the values of its ``{name}`` segments.

        Args:
            path: as sent. It is split before it is decoded, so an encoded slash stays inside its segment.

        Raises:
            NotFound: no route has this path.
            MethodNotAllowed: some have, but not with this method.
            InvalidRequest: the path's percent-encoding is not UTF-8.
        """
        segments = path.split("/")
        if "%" in path:
            segments = _decoded(segments)
        node = self._root
        values: list[str] = []
        for segment in segments[1:]:
            child = node.children.get(segment)
            if child is None:
                child = node.wildcard
                if child is None or not segment:
                    raise NotFound("There is no such path.")
                values.append(segment)
            node = child
        route = node.methods.get(method)
        if route is not None:
            return route, values
        if not node.methods:
            raise NotFound("There is no such path.")
        raise MethodNotAllowed(f"This path does not take {method}.", allow=node.allow)


def _decoded(segments: list[str]) -> list[str]:
    try:
        return [unquote(segment, errors="strict") for segment in segments]
    except UnicodeDecodeError as error:
        raise InvalidRequest("The path must be percent-encoded UTF-8.") from error


def values_in(path: str) -> list[str]:
    """The names between braces in a route's path, in order."""
    return [segment[1:-1] for segment in path.split("/") if segment.startswith("{")]
