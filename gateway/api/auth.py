"""Who is asking: API keys and session tokens (contract 1.2, D1), for REST and for sockets alike.

A session token is a JWT signed with HS256 by the secret of one tenant, which its ``kid`` header names; the
algorithm is the server's choice and never the token's. An API key is 192 random bits of which only the
SHA-256 is stored, so finding the key by its hash compares nothing that an attacker could measure.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from itertools import islice
from typing import TypeVar

import msgspec
import trio

from gateway.api.revocations import Revocations
from gateway.api.tokens import SignedToken
from gateway.delivery.peers import Peers
from gateway.errors import Unauthorized, Unavailable
from gateway.records import Tenant
from gateway.store.ports import Store
from gateway.wire.http import Request

IAT_LEEWAY_S = 5
# The longest user id (255 characters, escaped) makes a token of about 4,500 characters.
TOKEN_CHARACTERS = 8_192
# How long a rotated key or a changed tenant may go unnoticed on a node that did not make the change.
TENANT_FRESH_S = 1.0
# How long a verdict on a token holds before the store is asked again whether it has been taken back. Meanwhile only
# those have to be remembered that were (``revocations.REMEMBERED_S``).
VERDICT_S = 60.0
# How long what can go on without it waits for a store that may be away, and how long it then does without.
STORE_PATIENCE_S = 0.5

K = TypeVar("K")
V = TypeVar("V")


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """A credential that was good when it was looked at.

    Attributes:
        tenant: the tenant as it was at most ``TENANT_FRESH_S`` ago.
        user_id: the token's user; None for the API key, which may act as any user of its tenant.
        jti: which token it is: tells one device of a user from another (contract D6).
        issued_at: when it was made, in seconds since the epoch.
        expires_at: when the token ends, in seconds since the epoch; a socket must be ended by then (D11).
    """

    tenant: Tenant
    user_id: str | None = None
    jti: str | None = None
    issued_at: int | None = None
    expires_at: int | None = None
    token: str | None = None

    @property
    def is_server(self) -> bool:
        """Whether this is the tenant's own backend, by its API key."""
        return self.user_id is None

    def __repr__(self) -> str:
        # Ids alone: the record holds secrets, and a repr ends up in logs.
        return f"Caller(tenant={self.tenant.id!r}, user_id={self.user_id!r}, jti={self.jti!r})"


class Authenticator:
    """Checks credentials, and remembers briefly what it checked.

    Verified tokens are kept for ``VERDICT_S``, but not once they expire, are taken back or their tenant's signing
    secret changes; tenants for ``TENANT_FRESH_S``, unless a node says that one has changed. Both caches are bounded,
    and the oldest entry goes first: a token that falls out is only verified again.

    Args:
        clock: seconds since the epoch.
        remembered: how many tokens, tenants and API keys to remember, each.
    """

    def __init__(
        self,
        *,
        store: Store,
        peers: Peers,
        revocations: Revocations,
        clock: Callable[[], float] = time.time,
        remembered: int = 20_000,
    ) -> None:
        self._store = store
        self._peers = peers
        self._revocations = revocations
        self._clock = clock
        self._remembered = remembered
        self._verified: dict[str, tuple[float, Caller]] = {}  # with when it was verified
        self._tenants: dict[str, tuple[float, Tenant]] = {}
        self._by_key: dict[bytes, tuple[float, Tenant]] = {}
        self._ask_at = 0.0
        self._changes = 0  # of tenants, that were heard of
        peers.listen("tenant", lambda _, tenant_id: self._forget_tenant(tenant_id.decode()))

    async def identify(self, request: Request) -> Caller:
        """The caller of a REST request. A good API key goes before a token, a bad one does not spoil a good
        token.

        Raises:
            Unauthorized: no credential, or none that is good.
        """
        api_key = request.headers.get("x-api-key")
        if api_key is not None:
            tenant = await self._tenant_by_key(api_key)
            if tenant is not None:
                return Caller(tenant=tenant)
        authorization = request.headers.get("authorization")
        if authorization is None:
            if api_key is not None:
                raise Unauthorized("Unauthorized: the API key is not valid.")
            raise Unauthorized(
                "Unauthorized: send an API key in x-api-key or a session token as a Bearer token."
            )
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized("Unauthorized: the Authorization header must carry a Bearer token.")
        return await self.verify(token.strip())

    async def verify(self, token: str, *, remember: bool = True) -> Caller:
        """The user of a session token.

        Args:
            remember: keep the verdict for the next request. A socket shows its token once.

        Raises:
            Unauthorized: the token is malformed, forged, expired, taken back, or signed before its tenant's keys
                were rotated.
        """
        now = self._clock()
        known = self._verified.get(token)
        if known is None:
            caller = await self._verify_anew(token)
            return self._remember(token, caller, now) if remember else caller
        verified_at, caller = known
        if caller.expires_at is not None and caller.expires_at <= now:
            del self._verified[token]
            raise Unauthorized("Unauthorized: the session token has expired.")
        tenant = self._fresh(self._tenants.get(caller.tenant.id), now)
        if tenant is None:
            tenant = await self._tenant(caller.tenant.id)
        holds = 0 <= now - verified_at < VERDICT_S and not self._is_revoked(caller)
        if holds and tenant is caller.tenant:
            return caller
        # Forgotten before it is judged again: two requests may be here at once.
        self._verified.pop(token, None)
        if not holds or tenant is None or tenant.signing_secret != caller.tenant.signing_secret:
            return self._remember(token, await self._verify_anew(token), now)
        return self._remember(token, msgspec.structs.replace(caller, tenant=tenant), verified_at)

    async def tenant(self, tenant_id: str) -> Tenant | None:
        """As it is now, or was when it was last seen, if the store is away or slow. For what must go on meanwhile.

        Raises:
            Unavailable: it has not been seen lately either.
        """
        known = self._tenants.get(tenant_id)
        if known is None:
            return await self._tenant(tenant_id)
        fresh = self._fresh(known, self._clock())
        if fresh is not None:
            return fresh  # as it is for nearly every socket that comes in: without a cancel scope
        if trio.current_time() >= self._ask_at:
            with trio.move_on_after(STORE_PATIENCE_S), suppress(Unavailable):
                return await self._tenant(tenant_id)
            self._ask_at = trio.current_time() + STORE_PATIENCE_S
        return known[1]

    def forget_tenant(self, tenant_id: str) -> None:
        """See the tenant's next request with fresh eyes, on all nodes: its keys or settings have changed."""
        self._forget_tenant(tenant_id)
        self._peers.say("tenant", tenant_id.encode())

    def _forget_tenant(self, tenant_id: str) -> None:
        self._changes += 1
        self._tenants.pop(tenant_id, None)
        for digest in [digest for digest, (_, tenant) in self._by_key.items() if tenant.id == tenant_id]:
            del self._by_key[digest]

    async def _verify_anew(self, token: str) -> Caller:
        invalid = Unauthorized("Unauthorized: the session token is not valid.")
        if not token or len(token) > TOKEN_CHARACTERS:
            raise invalid
        try:
            signed = SignedToken(token)
            tenant = await self._tenant(signed.kid)
            if tenant is None:
                raise invalid
            claims = signed.claims(tenant.signing_secret)
        except (ValueError, RecursionError) as error:
            raise invalid from error
        now = self._clock()
        if claims.tid != tenant.id or not claims.sub or not claims.jti or claims.iat > now + IAT_LEEWAY_S:
            raise invalid
        if claims.exp <= now:
            raise Unauthorized("Unauthorized: the session token has expired.")
        if await self._store.is_revoked(tenant.id, claims.sub, jti=claims.jti, issued_at=claims.iat):
            raise Unauthorized("Unauthorized: the session token has been revoked.", code="token_revoked")
        return Caller(
            tenant=tenant,
            user_id=claims.sub,
            jti=claims.jti,
            issued_at=claims.iat,
            expires_at=claims.exp,
            token=token,
        )

    def _is_revoked(self, caller: Caller) -> bool:
        """Whether the token was taken back lately, or may have been."""
        if self._revocations.quiet:
            return False
        assert caller.user_id is not None
        assert caller.jti is not None
        assert caller.issued_at is not None
        return self._revocations.blind or self._revocations.covers(
            caller.tenant.id, user_id=caller.user_id, jti=caller.jti, issued_at=caller.issued_at
        )

    def _remember(self, token: str, caller: Caller, verified_at: float) -> Caller:
        verified = self._verified
        _make_room(verified, self._remembered)
        # A token that nobody shows again would stay until the room is needed. Two for one, so that they never gather.
        for oldest in [*islice(verified, 2)]:
            if verified_at - verified[oldest][0] >= VERDICT_S:
                del verified[oldest]
        verified[token] = (verified_at, caller)
        return caller

    @staticmethod
    def _fresh(known: tuple[float, Tenant] | None, now: float) -> Tenant | None:
        """A remembered tenant that needs no second look."""
        # The lower bound is for a wall clock that was set back: the entry must not live on until it has
        # caught up.
        return known[1] if known is not None and 0 <= now - known[0] < TENANT_FRESH_S else None

    async def _tenant(self, tenant_id: str) -> Tenant | None:
        now = self._clock()
        known = self._tenants.get(tenant_id)
        fresh = self._fresh(known, now)
        if fresh is not None:
            return fresh
        changes = self._changes
        tenant = await self._store.tenant(tenant_id)
        # What was read while some tenant changed may be the state before: good for this request, not to be kept.
        if changes != self._changes:
            return tenant
        if tenant is None:
            self._tenants.pop(tenant_id, None)
            return None
        if known is not None and known[1] == tenant:
            tenant = known[1]  # the same object, so that callers remembered with it stay as they are
        _make_room(self._tenants, self._remembered)
        self._tenants[tenant_id] = (now, tenant)
        return tenant

    async def _tenant_by_key(self, api_key: str) -> Tenant | None:
        now = self._clock()
        digest = sha256(api_key.encode()).digest()
        fresh = self._fresh(self._by_key.get(digest), now)
        if fresh is not None:
            return fresh
        changes = self._changes
        tenant = await self._store.tenant_by_api_key(digest)
        if changes != self._changes:
            return tenant
        if tenant is None:
            self._by_key.pop(digest, None)
            return None
        _make_room(self._by_key, self._remembered)
        self._by_key[digest] = (now, tenant)
        return tenant


def _make_room(cache: dict[K, V], bound: int) -> None:
    """Drop the oldest entry of a full cache (dicts keep the order of insertion)."""
    if len(cache) >= bound:
        del cache[next(iter(cache))]
