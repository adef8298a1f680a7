"""Making session tokens (contract D1, D2)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import jwt
import msgspec

from gateway.api.tokens import ALGORITHM, Claims
from gateway.config import Tokens
from gateway.errors import InvalidRequest
from gateway.records import Tenant, iso
from gateway.store.ports import Store


class Session(msgspec.Struct, frozen=True, rename="camel"):
    """What minting returns: ``expires_at`` is ISO-8601 and never a number (contract appendix A 31)."""

    token: str
    expires_at: str


class Minter:
    """Signs session tokens with the secret of their tenant.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, *, store: Store, tokens: Tokens, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._tokens = tokens
        self._clock = clock
        self._signer = jwt.PyJWS(algorithms=[ALGORITHM])

    async def mint(self, tenant: Tenant, user_id: str, *, expires_in_s: int | None = None) -> Session:
        """Sign a session token for one user, who must exist: the caller has checked that, or does.

        Args:
            expires_in_s: its life in seconds; None takes the configured default.

        Raises:
            InvalidRequest: the life is below one second or over the configured maximum (D2).
        """
        life_s = self._tokens.default_s if expires_in_s is None else expires_in_s
        if not 1 <= life_s <= self._tokens.max_s:
            raise InvalidRequest(f"expiresIn must be between 1 and {self._tokens.max_s} seconds.")
        # Tokens name only the second of their issue, and of the second in which all were taken back none is good:
        # who signs in again at once gets one of the next second, which the leeway on ``iat`` allows.
        issued = max(int(self._clock()), await self._store.good_from(tenant.id, user_id))
        claims = Claims(sub=user_id, tid=tenant.id, jti=uuid.uuid4().hex, iat=issued, exp=issued + life_s)
        token = self._signer.encode(
            msgspec.json.encode(claims), tenant.signing_secret, ALGORITHM, headers={"kid": tenant.id}
        )
        return Session(token=token, expires_at=iso(claims.exp * 1000))
