"""Settings: what they are and what they may be. Every key stands, explained, in ``configs/development.toml``.

Ranges stand beside the fields they bound; ``gateway/settings.py`` makes a ``Config`` of a file, the environment and flags.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

Port: TypeAlias = Annotated[int, Meta(ge=0, le=65_535)]  # 0: any free one
Count: TypeAlias = Annotated[int, Meta(ge=1)]
Bytes: TypeAlias = Annotated[int, Meta(ge=1_024)]  # less than this cannot hold one ordinary request or event
Duration: TypeAlias = Annotated[float, Meta(gt=0)]
DurationOrZero: TypeAlias = Annotated[float, Meta(ge=0)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of the sections: frozen, and a key nobody knows is an error that names it."""


class Tls(Section, frozen=True):
    certificate: Path | None = None
    key: Path | None = None


class Http(Section, frozen=True):
    head_bytes: Bytes = 16_384
    head_s: Duration = 10.0
    body_bytes: Bytes = 1_048_576
    body_s: Duration = 30.0
    keep_alive_s: Duration = 75.0
    write_s: Duration = 30.0


class Socket(Section, frozen=True):
    ping_interval_ms: Count = 25_000
    ping_timeout_ms: Count = 20_000
    connect_s: Duration = 45.0
    message_bytes: Bytes = 1_000_000
    outbox_bytes: Bytes = 1_048_576
    inbox: Count = 64
    close_s: Duration = 5.0
    permessage_deflate: bool = False


class Presence(Section, frozen=True):
    grace_s: DurationOrZero = 4.0
    lease_s: Duration = 5.0
    tenant_limit: Annotated[int, Meta(ge=0)] = 2_000
    scope: Literal["auto", "tenant", "contacts"] = "auto"


class Recovery(Section, frozen=True):
    keep_s: Count = 604_800
    events: Count = 10_000


class Rate(Section, frozen=True):
    """A token bucket: ``per_s`` refills, ``burst`` fits."""

    per_s: Duration
    burst: Count


class Limits(Section, frozen=True):
    send_message: Rate = Rate(per_s=50, burst=200)
    join_room: Rate = Rate(per_s=20, burst=100)
    typing: Rate = Rate(per_s=20, burst=60)
    call_start: Rate = Rate(per_s=1, burst=20)
    call_token_refresh: Rate = Rate(per_s=2, burst=30)
    upload_presign: Rate = Rate(per_s=2, burst=60)
    search: Rate = Rate(per_s=5, burst=30)
    room_participants: Count = 1_000
    connections: Count = 100_000


class Tokens(Section, frozen=True):
    default_s: Count = 3_600
    max_s: Annotated[int, Meta(ge=1, le=86_400)] = 86_400  # D2: never over a day


class StoreSettings(Section, frozen=True):
    synchronous: Literal["full", "normal"] = "full"
    waiting_writes: Count = 10_000
    writers: Count = 2
    readers: Count = 4


class ObjectStorage(Section, frozen=True):
    """S3 or what speaks it; in use when ``bucket`` is set."""

    bucket: str | None = None
    prefix: str = ""
    endpoint: str | None = None
    region: str = "us-east-1"
    access_key_id: str | None = None
    secret_access_key: str | None = None


class Uploads(Section, frozen=True):
    folder: Path | None = None
    file_bytes: Bytes = 104_857_600
    put_s: Duration = 900.0
    access_s: Annotated[int, Meta(ge=600)] = 3_600  # clients take what ends within 5 minutes for ended
    unused_s: Count = 86_400
    sweep_s: Duration = 300.0
    s3: ObjectStorage = ObjectStorage()


class Redis(Section, frozen=True):
    url: str = "redis://127.0.0.1:6379/0"
    mode: Literal["single", "sentinel", "cluster"] = "single"
    primary: str = "mymaster"
    sentinel_password: str | None = None
    ca: Path | None = None
    prefix: Annotated[str, Meta(pattern=r"^[\w.:-]+$")] = "gateway"


class LiveKit(Section, frozen=True):
    """The media server of calls; in use when ``url`` is set."""

    url: str | None = None
    public_url: str | None = None
    api_key: str | None = None
    api_secret: str | None = None


class NodeSettings(Section, frozen=True):
    """Where the other nodes reach this one, when there are any."""

    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Port = 0


class Log(Section, frozen=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class Config(Section, frozen=True):
    host: Annotated[str, Meta(min_length=1)] = "0.0.0.0"
    port: Port = 3001
    data: Path = Path("data")
    database_url: str | None = None
    public_url: str | None = None
    drain_s: DurationOrZero = 10.0
    native: bool = True
    metrics_token: Annotated[str, Meta(min_length=16)] | None = None
    tls: Tls = Tls()
    http: Http = Http()
    socket: Socket = Socket()
    presence: Presence = Presence()
    recovery: Recovery = Recovery()
    limits: Limits = Limits()
    tokens: Tokens = Tokens()
    store: StoreSettings = StoreSettings()
    uploads: Uploads = Uploads()
    bus: Literal["memory", "redis"] = "memory"
    redis: Redis = Redis()
    node: NodeSettings = NodeSettings()
    livekit: LiveKit = LiveKit()
    log: Log = Log()

    @property
    def database(self) -> Path | str:
        """The SQLite file, or the URL of PostgreSQL, which server and operator's commands open alike."""
        return self.database_url or self.data / "gateway.db"
