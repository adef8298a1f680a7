"""Where LiveKit is, and the key that we share with it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveKitSettings:
    """One LiveKit as its operator has set it up.

    Attributes:
        url: where we reach it; ``http``, ``https``, ``ws`` or ``wss``, all the same to us.
        public_url: where clients reach it.
        api_key: names the secret; LiveKit may have several.
        api_secret: signs every token, ours and LiveKit's own.
    """

    url: str
    public_url: str
    api_key: str
    api_secret: str = field(repr=False)

    @property
    def http_url(self) -> str:
        """``url`` for requests, without a slash at its end."""
        return _with_scheme(self.url, {"ws": "http", "wss": "https"})

    @property
    def client_url(self) -> str:
        """``public_url`` as clients are given it: ``ws`` or ``wss`` (contract 3.8)."""
        return _with_scheme(self.public_url, {"http": "ws", "https": "wss"})


def _with_scheme(url: str, schemes: dict[str, str]) -> str:
    scheme, _, rest = url.rstrip("/").partition("://")
    return f"{schemes.get(scheme.lower(), scheme.lower())}://{rest}"
