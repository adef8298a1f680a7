"""What a request says: its JSON body, its query, and as whom it acts."""

from __future__ import annotations

from typing import Final, TypeVar
from urllib.parse import parse_qsl

import msgspec

from gateway.api.auth import Caller
from gateway.chat.reading import check, read
from gateway.errors import Forbidden, InvalidRequest
from gateway.wire.http import Request

T = TypeVar("T")

PAGE_LIMIT: Final = 100
_QUERY_FIELDS: Final = 50


def body(request: Request, decoder: msgspec.json.Decoder[T]) -> T:
    """The body as a typed value; no body at all reads as ``{}``.

    Raises:
        InvalidRequest: the body is not JSON in UTF-8, or not of that type; the message names the field.
    """
    data = request.body
    if not data:
        return read(decoder, b"{}")
    # What the decoder skips (keys it does not know, raw parts) it does not check for UTF-8, but it is sent
    # on.
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError as error:
            raise InvalidRequest("The body must be JSON in UTF-8.") from error
    return read(decoder, data)


def query(request: Request, kind: type[T]) -> T:
    """The query string as a typed value; empty values count as absent, unknown names are ignored.

    Raises:
        InvalidRequest: it is not UTF-8, or a value is not of its type; the message names the parameter.
    """
    if not request.query:
        return check({}, kind)
    try:
        fields = dict(parse_qsl(request.query, errors="strict", max_num_fields=_QUERY_FIELDS))
    except ValueError as error:
        raise InvalidRequest("The query string is not valid.") from error
    return check(fields, kind, strict=False)


def page_size(limit: int) -> int:
    """A limit within 1 to 100: out of range is clamped, not refused (contract 10, row 7)."""
    return min(max(limit, 1), PAGE_LIMIT)


def comma_list(text: str | None) -> list[str]:
    """The names in ``"a,b"``."""
    return [name for name in (text or "").split(",") if name]


def acting_user(caller: Caller, given: str | None, field: str) -> str:
    """As whom a request acts: a session always as its user, the API key as the user it names in ``field``.

    Raises:
        Forbidden: a session token names another user.
        InvalidRequest: the API key names nobody.
    """
    user_id = viewing_user(caller, given, field)
    if user_id is None:
        raise InvalidRequest(f"{field} is required with an API key.")
    return user_id


def own_id(caller: Caller) -> str:
    """The user of a session token, on a route that takes nothing else."""
    assert caller.user_id is not None  # the route's row says who="session"
    return caller.user_id


def viewing_user(caller: Caller, given: str | None, field: str) -> str | None:
    """Through whose eyes a request reads; None is the API key without a user, which sees everything.

    Raises:
        Forbidden: a session token names another user.
    """
    if caller.user_id is None:
        return given
    if given is not None and given != caller.user_id:
        raise Forbidden(f"{field} must be the user of the session token.")
    return caller.user_id
