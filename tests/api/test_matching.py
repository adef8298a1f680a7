from __future__ import annotations

import pytest

from gateway.api.matching import Matcher, Route
from gateway.errors import InvalidRequest, MethodNotAllowed, NotFound
from gateway.wire.http import Response


async def handler() -> Response:
    return Response(200, b"")


def route(method: str, path: str) -> Route:
    return Route(method=method, path=path, handler=handler, who="either", summary=path, answer=dict)


MATCHER = Matcher(
    [
        route("GET", "/v1/rooms"),
        route("POST", "/v1/rooms"),
        route("GET", "/v1/rooms/{roomId}"),
        route("DELETE", "/v1/rooms/{roomId}/people/{userId}"),
        route("POST", "/v1/users/{userId}/tokens"),
        route("POST", "/v1/users/me/tokens"),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "pattern", "values"),
    [
        ("GET", "/v1/rooms", "/v1/rooms", []),
        ("GET", "/v1/rooms/r1", "/v1/rooms/{roomId}", ["r1"]),
        ("HEAD", "/v1/rooms/r1", "/v1/rooms/{roomId}", ["r1"]),
        ("DELETE", "/v1/rooms/r1/people/ann", "/v1/rooms/{roomId}/people/{userId}", ["r1", "ann"]),
        ("GET", "/v1/rooms/a%2Fb", "/v1/rooms/{roomId}", ["a/b"]),
        ("GET", "/v1/rooms/%40caf%C3%A9%3A1", "/v1/rooms/{roomId}", ["@café:1"]),
        ("GET", "/v1/rooms/a+b", "/v1/rooms/{roomId}", ["a+b"]),
        ("GET", "/v1/rooms/%252F", "/v1/rooms/{roomId}", ["%2F"]),
        ("GET", "/v1/rooms/%7BroomId%7D", "/v1/rooms/{roomId}", ["{roomId}"]),
        ("POST", "/v1/users/me/tokens", "/v1/users/me/tokens", []),
        ("POST", "/v1/users/you/tokens", "/v1/users/{userId}/tokens", ["you"]),
    ],
)
def test_a_path_finds_its_route(method: str, path: str, pattern: str, values: list[str]) -> None:
    found, segments = MATCHER.match(method, path)
    assert (found.path, segments) == (pattern, values)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/v1",
        "/v1/",
        "/v1/rooms/",
        "/v1/rooms/r1/",
        "/v1//rooms",
        "/v1/rooms/r1/people",
        "/v2/rooms",
        "rooms",
    ],
)
def test_any_other_path_is_not_found(path: str) -> None:
    with pytest.raises(NotFound):
        MATCHER.match("GET", path)


def test_another_method_is_told_which_there_are() -> None:
    with pytest.raises(MethodNotAllowed) as refused:
        MATCHER.match("PATCH", "/v1/rooms")
    assert refused.value.allow == "GET, HEAD, POST, OPTIONS"


def test_bytes_that_are_no_utf8_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        MATCHER.match("GET", "/v1/rooms/%FF%FE")


def test_two_rows_for_one_path_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="two routes"):
        Matcher([route("GET", "/v1/a"), route("GET", "/v1/a")])
