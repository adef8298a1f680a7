"""``Idempotency-Key`` (contract D5): a repeated request gets its first answer, and nothing happens again."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Final, TypeVar

from gateway.api.auth import Caller
from gateway.errors import InvalidRequest
from gateway.store.ports import Once
from gateway.wire.http import Request, Response

T = TypeVar("T")

KEY_CHARACTERS: Final = 255


def once(request: Request, caller: Caller, answer: Callable[[T], Response]) -> Once[T] | None:
    """What the store has to remember of this request; None when the client gave no key.

    Args:
        answer: the response to the write's result. It may be made twice, for the store and for the client,
            and must be the same both times.

    Raises:
        InvalidRequest: the key is empty or too long.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= KEY_CHARACTERS:
        raise InvalidRequest(f"Idempotency-Key must have 1 to {KEY_CHARACTERS} characters.")

    def kept(result: T) -> tuple[int, bytes]:
        response = answer(result)
        return response.status, response.body

    return Once(
        tenant_id=caller.tenant.id,
        credential="key" if caller.user_id is None else f"user:{caller.user_id}",
        key=key,
        fingerprint=_fingerprint(request),
        answer=kept,
    )


def _fingerprint(request: Request) -> bytes:
    head = f"{request.method} {request.path}?{request.query}\n"
    return sha256(head.encode() + request.body).digest()
