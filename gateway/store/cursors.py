"""Page cursors: opaque to clients, so that what they hold can change (contract 10, row 6)."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

from gateway.errors import InvalidRequest

_ROOM = re.compile(r"r(\d{1,15})\.([0-9a-f-]{36})")
_CALL = re.compile(r"c([0-9a-f-]{36})")
_USER = re.compile(r"u(.{1,255})", re.DOTALL)
_MESSAGE = re.compile(r"m(\d{1,18})")
_FOUND = re.compile(r"f(\d{1,15})\.([0-9a-f-]{36})")


def after_room(activity_at: int, room_id: str) -> str:
    """The cursor of the rooms less recently active than this one."""
    return _opaque(f"r{activity_at}.{room_id}")


def before_message(seq: int) -> str:
    """The cursor of the messages older than this one."""
    return _opaque(f"m{seq}")


def before_found(created_at: int, message_id: str) -> str:
    """The cursor of the messages, in whatever room, older than this one."""
    return _opaque(f"f{created_at}.{message_id}")


def after_user(user_id: str) -> str:
    """The cursor of the users whose ids come after this one."""
    return _opaque(f"u{user_id}")


def before_call(call_id: str) -> str:
    """The cursor of the calls that began before this one."""
    return _opaque(f"c{call_id}")


def call_position(cursor: str) -> str:
    """The call id that :func:`before_call` made a cursor of.

    Raises:
        InvalidRequest: it did not make this one.
    """
    (call_id,) = _parse(cursor, _CALL)
    return call_id


def user_position(cursor: str) -> str:
    """The user id that :func:`after_user` made a cursor of.

    Raises:
        InvalidRequest: it did not make this one.
    """
    (user_id,) = _parse(cursor, _USER)
    return user_id


def room_position(cursor: str) -> tuple[int, str]:
    """The (activity in ms, room id) that :func:`after_room` made a cursor of.

    Raises:
        InvalidRequest: it did not make this one.
    """
    activity_at, room_id = _parse(cursor, _ROOM)
    return int(activity_at), room_id


def message_position(cursor: str) -> int:
    """The message number that :func:`before_message` made a cursor of.

    Raises:
        InvalidRequest: it did not make this one.
    """
    (seq,) = _parse(cursor, _MESSAGE)
    return int(seq)


def found_position(cursor: str) -> tuple[int, str]:
    """The (time in ms, message id) that :func:`before_found` made a cursor of.

    Raises:
        InvalidRequest: it did not make this one.
    """
    created_at, message_id = _parse(cursor, _FOUND)
    return int(created_at), message_id


def _opaque(position: str) -> str:
    return urlsafe_b64encode(position.encode()).rstrip(b"=").decode()


def _parse(cursor: str, form: re.Pattern[str]) -> tuple[str, ...]:
    try:
        position = urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()
    except ValueError:  # of the alphabet, the padding or the characters behind it
        position = ""
    found = form.fullmatch(position)
    # Decoding skips what is not of the alphabet; only what we would give out ourselves is one of ours.
    if found is None or _opaque(position) != cursor:
        raise InvalidRequest("The cursor is not one that this server has given.", code="bad_cursor")
    return found.groups()
