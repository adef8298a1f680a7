"""Answers that are known only when a write is done, for which no task has to wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from gateway.store.ports import Written
from gateway.wire.http import Response

T = TypeVar("T")


class Later(msgspec.Struct, Generic[T], frozen=True):
    """What a handler returns in place of an answer, when all that is left to do is to write.

    Attributes:
        written: which ``Api`` asks for.
        answer: makes the answer of what it came to.
    """

    written: Written[T]
    answer: Callable[[T], Response]
