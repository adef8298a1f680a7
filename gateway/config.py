"""Settings: what they are, what they mean, and how a file, the environment and flags make one ``Config``.

Only this module reads the environment. Every key stands, explained, in ``configs/development.toml``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of the sections: frozen, and a key nobody knows is an error that names it."""


class Tls(Section):
    certificate: Path | None = None
    key: Path | None = None


class Http(Section):
    head_bytes: int = 16_384
    head_s: float = 10.0
    body_bytes: int = 1_048_576
    body_s: float = 30.0
    keep_alive_s: float = 75.0
    write_s: float = 30.0


class Socket(Section):
    ping_interval_ms: int = 25_000
    ping_timeout_ms: int = 20_000
    connect_s: float = 45.0
    message_bytes: int = 1_000_000
    outbox_bytes: int = 1_048_576
    inbox: int = 64
    close_s: float = 5.0
    permessage_deflate: bool = False


class Presence(Section):
    grace_s: float = 4.0
    tenant_limit: int = 2_000
    scope: Literal["auto", "tenant", "contacts"] = "auto"


class Rate(Section):
    """A token bucket: ``per_s`` refills, ``burst`` fits."""

    per_s: float
    burst: int


class Limits(Section):
    send_message: Rate = Rate(per_s=50, burst=200)
    join_room: Rate = Rate(per_s=20, burst=100)
    typing: Rate = Rate(per_s=20, burst=60)
    room_participants: int = 1_000
    connections: int = 100_000


class Tokens(Section):
    default_s: int = 3_600
    max_s: int = 86_400


class StoreSettings(Section):
    synchronous: Literal["full", "normal"] = "full"
    waiting_writes: int = 10_000


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class Config(Section):
    host: str = "0.0.0.0"
    port: int = 3001
    data: Path = Path("data")
    public_url: str | None = None
    drain_s: float = 10.0
    tls: Tls = Tls()
    http: Http = Http()
    socket: Socket = Socket()
    presence: Presence = Presence()
    limits: Limits = Limits()
    tokens: Tokens = Tokens()
    store: StoreSettings = StoreSettings()
    log: Log = Log()
