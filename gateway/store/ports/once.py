"""Doing a write once, however often it is asked for (contract D5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Once(msgspec.Struct, Generic[T], frozen=True):
    """An ``Idempotency-Key`` (contract D5), kept 24 h with the answer it got, in the write's own transaction.

    Attributes:
        tenant_id, credential, key: the scope; ``credential`` is ``"key"`` for the API key, ``"user:<id>"``
            for a JWT.
        fingerprint: hash of method, path and body: the same key with another request is a ``Conflict``.
        answer: makes the (status, body) to keep from the write's result; called inside the transaction.
    """

    tenant_id: str
    credential: str
    key: str
    fingerprint: bytes
    answer: Callable[[T], tuple[int, bytes]]


class Replayed(Exception):
    """The write was done before under the same idempotency key: send this answer, emit nothing."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
