"""Session tokens taken apart (contract D1): JWTs, signed with HS256 by the secret of one tenant.

By hand, and not by the library that makes them (``minting``): PyJWT takes 35 us to verify one, most of them spent on whether
the secret might be a public key of another algorithm; with one algorithm it is 7. Every connect pays that, and every user's
first request in a while. The tests hold this to what the library refuses.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Literal

import msgspec

ALGORITHM = "HS256"


class Claims(msgspec.Struct, frozen=True):
    """The claims of a session token (D1); every one is required."""

    sub: str
    tid: str
    jti: str
    iat: int
    exp: int


class Header(msgspec.Struct, frozen=True):
    """What the header must say. The algorithm is the server's choice and never the token's; of what would change how a
    token is to be read (RFC 7515 4.1.11, RFC 7797), nothing is understood here."""

    alg: Literal["HS256"]
    kid: str
    crit: Any = msgspec.UNSET
    b64: Any = msgspec.UNSET


class SignedToken:
    """A token in the compact form (RFC 7515 3.1), which may be anybody's: nothing in it counts before ``claims``.

    Attributes:
        kid: whose secret is to verify it.

    Raises:
        ValueError, RecursionError: it is none of ours.
    """

    __slots__ = ("_payload", "_signature", "_signed", "kid")

    def __init__(self, token: str) -> None:
        self._signed, _, self._signature = token.encode("ascii").rpartition(b".")
        head, _, self._payload = self._signed.partition(b".")
        header = _HEADER.decode(_decoded(head))
        if header.crit is not msgspec.UNSET or header.b64 is not msgspec.UNSET:
            raise ValueError("a header that is not understood")
        self.kid = header.kid

    def claims(self, secret: bytes) -> Claims:
        """What it says, if this secret has signed it.

        Raises:
            ValueError, RecursionError: it has not, or it says something else.
        """
        mac = hmac.digest(secret, self._signed, "sha256")
        if not hmac.compare_digest(_encoded(mac), self._signature):
            raise ValueError("another signature")
        return _CLAIMS.decode(_decoded(self._payload))


def _encoded(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _decoded(segment: bytes) -> bytes:
    """Base64url without padding (RFC 7515 2), in its one canonical form: the library's function passes over what is none."""
    data = urlsafe_b64decode(segment + b"==")
    if _encoded(data) != segment:
        raise ValueError("not canonical base64url")
    return data


_HEADER = msgspec.json.Decoder(Header)
_CLAIMS = msgspec.json.Decoder(Claims)
