from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from jsonschema_rs import validator_for

from gateway.api.answers import Problem
from gateway.api.examples import EXAMPLES
from gateway.api.openapi import openapi_document
from gateway.api.table import ROUTES

DOCUMENT = openapi_document(version="1.2.3", server_url="https://chat.example.org")
TYPES = {kind.__name__: kind for row in ROUTES for kind in (row.body, row.answer) if kind} | {
    "Problem": Problem
}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_route_is_in_the_document_and_nothing_else() -> None:
    assert {(method, path) for method, path, _ in operations()} == {(row.method, row.path) for row in ROUTES}


def test_it_is_json_of_openapi_3_1_and_names_version_and_server() -> None:
    document = msgspec.json.decode(msgspec.json.encode(DOCUMENT))
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["version"] == "1.2.3"
    assert document["servers"] == [{"url": "https://chat.example.org"}]


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DOCUMENT))
    assert found
    for reference in found:
        name = reference.removeprefix("#/components/schemas/")
        assert name in DOCUMENT["components"]["schemas"], reference


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("row", ROUTES, ids=lambda row: f"{row.method} {row.path}")
def test_an_operation_says_what_its_row_says(row: Any) -> None:
    operation = DOCUMENT["paths"][row.path][row.method.lower()]
    schemes = {name for requirement in operation["security"] for name in requirement}
    assert (
        schemes
        == {
            "key": {"apiKey"},
            "session": {"sessionToken"},
            "either": {"apiKey", "sessionToken"},
            "livekit": {"livekitSignature"},
        }[row.who]
    )
    in_path = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
    assert in_path == [part[1:-1] for part in row.path.split("/") if part.startswith("{")]
    assert ("requestBody" in operation) == (row.body is not None)
    assert {str(status) for status in row.statuses} <= operation["responses"].keys()
    assert "401" in operation["responses"]


@pytest.mark.parametrize("name", sorted(TYPES))
def test_every_body_has_an_example_that_its_type_accepts(name: str) -> None:
    example = EXAMPLES[name]
    assert DOCUMENT["components"]["schemas"][name]["examples"] == [example]
    decoded: Any = msgspec.json.decode(msgspec.json.encode(example), type=TYPES[name])
    known = set(msgspec.json.decode(msgspec.json.encode(decoded)))
    assert known >= example.keys()


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_example_is_one_of_its_schema(name: str) -> None:
    # Both halves of the document are read by people; only this holds them together where the code takes raw JSON.
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    faults = [error.message for error in validator_for(schema).iter_errors(EXAMPLES[name])]
    assert faults == []


@pytest.mark.parametrize("row", ROUTES, ids=lambda row: f"{row.method} {row.path}")
def test_every_body_that_is_read_or_answered_has_a_schema_with_an_example(row: Any) -> None:
    operation = DOCUMENT["paths"][row.path][row.method.lower()]
    bodies = [*operation["responses"].values(), *filter(None, [operation.get("requestBody")])]
    for body in bodies:
        for content in body["content"].values():
            (reference,) = references(content["schema"])
            assert DOCUMENT["components"]["schemas"][reference.rpartition("/")[2]]["examples"]


def test_parts_are_described_although_the_code_carries_them_raw() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for name in ("Message", "MessageBody", "ParentMessage"):
        assert schemas[name]["properties"]["parts"]["items"] == {"$ref": "#/components/schemas/Part"}
    assert set(schemas["Part"]["properties"]) >= {"type", "text", "url", "uploadId", "data"}


def test_query_parameters_are_spelled_out() -> None:
    parameters = DOCUMENT["paths"]["/v1/chat/rooms"]["get"]["parameters"]
    assert {one["name"] for one in parameters} >= {
        "participantId",
        "externalId",
        "customTypesFilter",
        "limit",
    }
    assert all(one["schema"]["type"] in ("string", "integer") for one in parameters)


def test_mutating_routes_take_an_idempotency_key_and_reading_ones_do_not() -> None:
    reading = {(row.method, row.path) for row in ROUTES if row.method == "GET" or row.changes_nothing}
    for method, path, operation in operations():
        headers = {one["name"] for one in operation["parameters"] if one["in"] == "header"}
        assert ("Idempotency-Key" in headers) == ((method, path) not in reading)
