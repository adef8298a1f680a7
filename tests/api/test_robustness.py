"""Whatever a client sends, the answer is its own fault or a success, never ours."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api.table import ROUTES
from gateway.wire.http import Request
from tests.api.conftest import Client, Gateway, open_gateway


def field_names(kind: Any) -> set[str]:
    """The wire names of a struct's fields and of those of all structs inside it."""
    _, components = msgspec.json.schema_components([kind], ref_template="{name}")
    return {name for schema in components.values() for name in schema.get("properties", ())}


NAMES = sorted(
    {name for row in ROUTES for kind in (row.body, row.query) if kind for name in field_names(kind)}
)
WORDS = st.sampled_from(["ann", "text", "data-call", "OPERATOR", "hidden", "", "https://x.example"])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(2**80), max_value=2**80),
    st.floats(allow_nan=False, allow_infinity=False),
    WORDS,
    st.text(max_size=20),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner)
    ),
    max_leaves=8,
)
BODIES = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6)
QUERIES = st.dictionaries(
    st.sampled_from(NAMES), st.one_of(WORDS, st.text(max_size=20), st.integers().map(str))
)
PATIENT = settings(max_examples=60)


async def statuses(body: bytes, query: str, room_id: str | None) -> set[int]:
    """What every route answers to this body and query, to the backend and to a user.

    Args:
        room_id: None takes a room that is there.
    """
    # A gateway for each example: what one has stored must not decide what the next one finds.
    with TemporaryDirectory() as directory:
        async with open_gateway(Path(directory)) as gateway:
            room = await gateway.room("ann", "bob") if room_id is None else room_id
            said = {"senderId": "ann", "parts": [{"type": "text", "text": "hi"}]}
            sent = await gateway.server.post(f"/chat/rooms/{quote(room, safe='')}/messages", said)
            message_id = sent.json.get("id", "none")
            clients = [gateway.server, await gateway.user("ann")]
            return {
                await status(
                    gateway,
                    row.method,
                    row.path.replace("{roomId}", quote(room, safe="")).replace("{messageId}", message_id),
                    query,
                    body,
                    one,
                )
                for row in ROUTES
                for one in clients
            }


async def status(gateway: Gateway, method: str, path: str, query: str, body: bytes, client: Client) -> int:
    request = Request(method, path, query=query, headers=client.headers, body=body)
    response = await gateway.api.route(request)
    msgspec.json.decode(response.body)
    return response.status


@PATIENT
@given(body=BODIES, query=QUERIES)
async def test_fields_of_any_type_are_never_our_fault(body: dict[str, Any], query: dict[str, str]) -> None:
    text = "&".join(f"{name}={quote(value)}" for name, value in query.items())
    assert not {500, 503} & await statuses(msgspec.json.encode(body), text, None)


@PATIENT
@given(body=st.binary(max_size=40), query=st.text(max_size=40), room_id=st.text(max_size=10))
async def test_bytes_of_any_kind_are_never_our_fault(body: bytes, query: str, room_id: str) -> None:
    assert not {500, 503} & await statuses(body, query, room_id)
