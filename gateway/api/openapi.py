"""The OpenAPI 3.1 document, made from the route table itself, so that it cannot fall behind the code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

from gateway.api.answers import Problem
from gateway.api.examples import EXAMPLES
from gateway.api.idempotency import KEY_CHARACTERS
from gateway.api.matching import Route, values_in
from gateway.api.table import ROUTES
from gateway.chat.parts import MAX_PARTS, Part

_SCHEMA: Final = "#/components/schemas/{name}"
_SECURITY: Final[dict[str, list[dict[str, list[str]]]]] = {
    "key": [{"apiKey": []}],
    "session": [{"sessionToken": []}],
    "either": [{"apiKey": []}, {"sessionToken": []}],
    "livekit": [{"livekitSignature": []}],
}
_PARTS: Final = {
    "type": "array",
    "items": {"$ref": _SCHEMA.format(name="Part")},
    "minItems": 1,
    "maxItems": MAX_PARTS,
}
# Not below /v1, and so without a route here: a client that put such an address together would have no signature.
_DESCRIPTION: Final = (
    "Rooms, messages, files and calls for a platform's own users. Addresses of files come whole, in answers and events:"
    " one PUT of the bytes to an uploadUrl, GET from a url or accessUrl, without credentials."
)
# Fields that the code carries as raw JSON, which says nothing of their shape.
_RAW: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("Message", "parts"): {**_PARTS, "minItems": 0},
    ("ParentMessage", "parts"): {**_PARTS, "minItems": 0},
    ("MessageBody", "parts"): _PARTS,
    ("EditBody", "parts"): _PARTS,
    ("RoomSummary", "metadata"): {"anyOf": [{"type": "object"}, {"type": "null"}]},
    ("RoomDetail", "metadata"): {"anyOf": [{"type": "object"}, {"type": "null"}]},
}


def openapi_document(
    *, version: str, server_url: str | None = None, routes: Sequence[Route] = ROUTES
) -> dict[str, Any]:
    """The document as JSON-ready objects.

    Args:
        version: of the gateway.
        server_url: where clients reach it; None leaves it to where the document was loaded from.
    """
    types = {kind for route in routes for kind in (route.body, route.answer, route.query) if kind is not None}
    kinds = sorted(types | {Problem, Part}, key=lambda kind: kind.__name__)
    _, schemas = msgspec.json.schema_components(kinds, ref_template=_SCHEMA)
    for (name, field), schema in _RAW.items():
        if name in schemas:
            schemas[name]["properties"][field] = schema
    for name, example in EXAMPLES.items():
        if name in schemas:
            schemas[name]["examples"] = [example]
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    for query in {route.query.__name__ for route in routes if route.query}:
        del schemas[query]  # they are spelled out as parameters
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gateway",
            "version": version,
            "description": _DESCRIPTION,
        },
        "servers": [{"url": server_url or "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "apiKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "x-api-key",
                    "description": "The tenant's backend. Never in a browser or an app.",
                },
                "sessionToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "One user, by a token from POST /v1/auth/token.",
                },
                "livekitSignature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "LiveKit's own token over the hash of the body.",
                },
            },
        },
    }


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "tags": [route.path.split("/")[2 if "/chat/" not in route.path else 3]],
        "summary": route.summary,
        "security": _SECURITY[route.who],
        "parameters": list(_parameters(route, schemas)),
        "responses": {
            **{str(status): _response(status, route.answer) for status in route.statuses},
            **{str(status): _response(status, Problem) for status in sorted(_errors(route))},
        },
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": bool(schemas[route.body.__name__].get("required")),
            "content": {"application/json": {"schema": _reference(route.body)}},
        }
    return operation


def _errors(route: Route) -> set[int]:
    """What a route may refuse with, as far as it follows from its row, and its own."""
    errors = {401, 500, 503, *route.errors}
    if route.method != "GET" and not route.changes_nothing:
        errors |= {400, 409}  # an Idempotency-Key that is none, or another request's
    if route.body is not None:
        errors |= {400, 413}
    if route.query is not None:
        errors.add(400)
    if "{" in route.path:
        errors.add(404)
    if route.who in ("key", "session") or _names_a_user(route):
        errors.add(403)
    return errors


def _names_a_user(route: Route) -> bool:
    """Whether a session token can be caught acting as somebody else."""
    fields = {*getattr(route.body, "__struct_fields__", ()), *getattr(route.query, "__struct_fields__", ())}
    return not fields.isdisjoint({"user_id", "sender_id", "viewer_id", "participant_id", "actor_user_id"})


def _parameters(route: Route, schemas: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for name in values_in(route.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    if route.query is not None:
        described = schemas[route.query.__name__]
        required = described.get("required", ())
        for name, schema in described["properties"].items():
            yield {"name": name, "in": "query", "required": name in required, "schema": _in_a_query(schema)}
    if route.method not in ("GET", "HEAD") and not route.changes_nothing:
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "The same key with the same request gets the first answer, for 24 hours.",
            "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARACTERS},
        }


def _in_a_query(schema: dict[str, Any]) -> dict[str, Any]:
    """A query string cannot say null, it can only leave a parameter out."""
    real = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    return dict(real[0]) if real else schema


def _response(status: int, kind: type) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {"application/json": {"schema": _reference(kind)}},
    }
    if status in (429, 503):
        response["headers"] = {
            "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}
        }
    return response


def _reference(kind: type) -> dict[str, str]:
    return {"$ref": _SCHEMA.format(name=kind.__name__)}
