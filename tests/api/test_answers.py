"""What every answer has in common: CORS, the error shape, methods, bodies that cannot be read."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.api.answers import STATUS, failure
from gateway.api.matching import Route
from gateway.api.routes import Api
from gateway.api.table import ROUTES
from gateway.errors import Conflict, GatewayError, MethodNotAllowed, RateLimited, Unavailable
from gateway.wire.http import Request
from tests.api.conftest import Gateway


def every_error(kind: type[GatewayError] = GatewayError) -> list[type[GatewayError]]:
    return [kind, *[below for child in kind.__subclasses__() for below in every_error(child)]]


def made(kind: type[GatewayError]) -> GatewayError:
    if issubclass(kind, MethodNotAllowed):
        return kind("Sentence.", allow="GET")
    if issubclass(kind, RateLimited | Unavailable):
        return kind("Sentence.", retry_after_s=1.2)
    return kind("Sentence.")


@pytest.mark.parametrize("kind", every_error())
def test_every_error_class_has_its_status_and_the_one_shape(kind: type[GatewayError]) -> None:
    response = failure(made(kind))
    assert response.status == STATUS[kind]
    assert msgspec.json.decode(response.body) == {
        "statusCode": STATUS[kind],
        "error": "Sentence.",
        "message": "Sentence.",
        "code": kind.code,
    }
    assert response.content_type == "application/json; charset=utf-8"


def test_waiting_is_told_in_whole_seconds_rounded_up() -> None:
    for error in (RateLimited("x", retry_after_s=1.2), Unavailable("x", retry_after_s=1.2)):
        assert ("Retry-After", "2") in failure(error).headers
    assert ("Retry-After", "1") in failure(RateLimited("x", retry_after_s=0.001)).headers


def test_an_instance_may_carry_a_finer_code() -> None:
    assert msgspec.json.decode(failure(Conflict("x", code="taken")).body)["code"] == "taken"


@pytest.mark.parametrize("path", ["/v1/chat/rooms", "/v1/chat/rooms/x/messages", "/v1/nowhere", "/"])
async def test_preflight_is_answered_on_every_path_without_a_credential(gateway: Gateway, path: str) -> None:
    response = await gateway.api.route(Request("OPTIONS", path, headers={"origin": "https://app.example"}))
    headers = dict(response.headers)
    assert response.status == 200
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert {"GET", "POST", "PATCH", "DELETE"} <= set(headers["Access-Control-Allow-Methods"].split(", "))
    allowed = headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"content-type", "authorization", "x-api-key", "idempotency-key"} <= set(allowed)
    assert int(headers["Access-Control-Max-Age"]) >= 3_600


async def test_browsers_may_read_every_answer_good_or_bad(gateway: Gateway) -> None:
    for answer in [
        await gateway.server.get("/chat/rooms"),
        await gateway.nobody.get("/chat/rooms"),
        await gateway.nobody.get("/nowhere"),
        await gateway.server.post("/users", {"id": "ann"}),
    ]:
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


async def test_an_unknown_path_is_404_and_another_method_405_with_allow(gateway: Gateway) -> None:
    assert (await gateway.nobody.get("/nowhere")).status == 404
    answer = await gateway.nobody.send("DELETE", "/chat/rooms")
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD, POST, OPTIONS"
    assert answer.json["code"] == "method_not_allowed"


async def test_head_answers_as_get_does(gateway: Gateway) -> None:
    got = await gateway.server.get("/chat/rooms")
    assert (await gateway.server.send("HEAD", "/chat/rooms")).body == got.body


async def test_no_success_has_an_empty_body(gateway: Gateway) -> None:
    room_id = await gateway.room("ann", "bob")
    ann = await gateway.user("ann")
    for answer in [
        await ann.get("/chat/rooms"),
        await ann.post(f"/chat/rooms/{room_id}/messages", {"parts": [{"type": "text", "text": "x"}]}),
        await ann.post(f"/chat/rooms/{room_id}/read", {"userId": "ann"}),
        await gateway.server.patch("/tenant/settings", {}),
    ]:
        assert answer.status in (200, 201)
        assert isinstance(answer.json, dict)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b'{"id": "ann"} trailing',
        b"[]",
        b"null",
        b'"text"',
        b'{"id": "\xff"}',
        b'{"id": "ann", "other": "\xc3\x28"}',
        b"\xef\xbb\xbf{}",
        b'{"id": "\\ud800"}',
        b'{"id":' * 100_000,
        b'{"id": "ann", "metadata": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda body: repr(body[:30]),
)
async def test_a_body_that_cannot_be_read_is_the_clients_fault(gateway: Gateway, body: bytes) -> None:
    answer = await gateway.server.send("POST", "/users", body)
    assert answer.status == 400
    assert answer.json["code"] == "invalid_request"


async def test_a_query_that_cannot_be_read_is_the_clients_fault(gateway: Gateway) -> None:
    for query in ("limit=ten", "limit=1.5", "cursor=%FF", "limit=" + "9" * 5_000, "&".join(["a=1"] * 100)):
        assert (await gateway.server.get(f"/chat/rooms?{query}")).status == 400, query


async def test_unknown_fields_and_parameters_are_ignored(gateway: Gateway) -> None:
    assert (await gateway.server.post("/users", {"id": "ann", "shoeSize": 43})).status == 200
    assert (await gateway.server.get("/chat/rooms?colour=red&limit=&cursor=")).status == 200


async def test_a_bug_is_answered_as_an_error_and_says_nothing_of_itself(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(*_: Any) -> Any:
        raise KeyError("a secret")

    rows = [Route(method="GET", path="/v1/broken", handler=broken, who="either", summary="", answer=dict)]
    api = Api(gateway.api._services, routes=[*ROUTES, *rows])
    ann = await gateway.user("ann")
    ann._api = api
    answer = await ann.get("/broken?q=private")
    assert answer.status == 500
    assert answer.json["code"] == "internal"
    assert b"secret" not in answer.body
    logged = capsys.readouterr().out
    assert "GET /v1/broken" in logged
    assert "private" not in logged
    assert ann.headers["authorization"][7:] not in logged


async def test_a_good_request_follows_a_bad_one(gateway: Gateway) -> None:
    await gateway.server.send("POST", "/users", b"{")
    assert (await gateway.server.post("/users", {"id": "ann"})).status == 200
