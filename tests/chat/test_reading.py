from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from gateway.chat.reading import check, read
from gateway.errors import InvalidRequest


class Entry(msgspec.Struct, rename="camel"):
    user_id: Annotated[str, Meta(min_length=1, max_length=5)]


class Shape(msgspec.Struct, rename="camel"):
    name: str | None = None
    count: Annotated[int, Meta(ge=1, le=9)] = 1
    is_frozen: bool = False
    mode: Literal["a", "b"] = "a"
    metadata: dict[str, Any] | None = None
    entries: Annotated[list[Entry], Meta(max_length=2)] = []


@pytest.mark.parametrize(
    ("json", "sentence"),
    [
        (b'{"name": 1}', "name must be a string or null, not an integer."),
        (b'{"count": "x"}', "count must be an integer, not a string."),
        (b'{"count": 0}', "count must be at least 1."),
        (b'{"count": 10}', "count must be at most 9."),
        (b'{"isFrozen": null}', "isFrozen must be true or false, not null."),
        (b'{"mode": "c"}', "mode is not valid: invalid enum value 'c'."),
        (b'{"metadata": []}', "metadata must be an object or null, not an array."),
        (b'{"entries": [{}]}', "entries[0].userId is required."),
        (b'{"entries": [{"userId": ""}]}', "entries[0].userId must not be empty."),
        (b'{"entries": [{"userId": "abcdef"}]}', "entries[0].userId must be at most 5 characters."),
        (
            b'{"entries": [{"userId": "a"}, {"userId": "a"}, {"userId": "a"}]}',
            "entries must be at most 2 items.",
        ),
        (b"[]", "The body must be an object, not an array."),
        (b"", "The body must be JSON in UTF-8."),
        (b'{"name": "\xff"}', "The body must be JSON in UTF-8."),
        (b'{"name": "\\ud800"}', "The body must be JSON in UTF-8."),
        (b"[" * 100_000, "The body must be an object, not an array."),
        (b'{"x":' * 100_000, "The body must be JSON in UTF-8."),
    ],
)
def test_an_error_is_one_sentence_that_names_the_field(json: bytes, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(msgspec.json.Decoder(Shape), json)
    assert refused.value.message == sentence


def test_a_field_read_on_its_own_is_named_with_where_it_was() -> None:
    with pytest.raises(InvalidRequest, match=r"^entries\[0\]\.userId is required\.$"):
        read(msgspec.json.Decoder(list[Entry]), b"[{}]", within="entries")
    with pytest.raises(InvalidRequest, match=r"^entries must be an array, not null\.$"):
        read(msgspec.json.Decoder(list[Entry]), b"null", within="entries")


def test_numbers_are_read_out_of_strings_only_when_asked() -> None:
    assert check({"count": "3"}, Shape, strict=False).count == 3
    with pytest.raises(InvalidRequest):
        check({"count": "3"}, Shape)
