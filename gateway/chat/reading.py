"""Reading JSON that a client sent: a typed value, or one sentence that names the field (contract D4)."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from gateway.errors import InvalidRequest

T = TypeVar("T")

_KINDS = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
_BOUND = re.compile(r"Expected `(\w+)(?: \| null)?`(?: of length)? (>=|<=) (\d+)")
_UNITS = {"str": " characters", "array": " items", "object": " keys", "int": "", "float": ""}


def read(decoder: msgspec.json.Decoder[T], data: bytes | msgspec.Raw, *, within: str = "") -> T:
    """Decode JSON.

    Args:
        within: name of the field that ``data`` was found in, for the sentence.

    Raises:
        InvalidRequest: not JSON in UTF-8, or not of the decoder's type.
    """
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise InvalidRequest(sentence(error, within=within)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest("The body must be JSON in UTF-8.") from error


def check(value: Any, kind: type[T], *, strict: bool = True) -> T:
    """Convert decoded JSON to a typed value; ``strict=False`` also reads numbers out of strings.

    Raises:
        InvalidRequest: the value is not of that type.
    """
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise InvalidRequest(sentence(error)) from error


def sentence(error: msgspec.ValidationError, *, within: str = "") -> str:
    """What a validation error says, for people: ``participants[0].id must be a string, not an integer.``"""
    text, _, path = str(error).partition(" - at `$")
    field = within + path.rstrip("`").replace("[...]", "")
    field = field.removeprefix(".") or "The body"
    if missing := text.partition("missing required field `")[2]:
        prefix = f"{field}." if field != "The body" else ""
        return f"{prefix}{missing.rstrip('`')} is required."
    if bound := _BOUND.match(text):
        kind, sign, number = bound.groups()
        if kind == "str" and sign == ">=" and number == "1":
            return f"{field} must not be empty."
        return f"{field} must be at {'least' if sign == '>=' else 'most'} {number}{_UNITS[kind]}."
    expected, _, got = text.removeprefix("Expected ").partition(", got ")
    if got:
        names = " or ".join(_KINDS.get(name, name) for name in expected.strip("`").split(" | "))
        return f"{field} must be {names}, not {_KINDS.get(got.strip('`'), got)}."
    return f"{field} is not valid: {text[0].lower()}{text[1:]}."
