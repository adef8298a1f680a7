"""Settings: what they are, what they mean, and how a file, the environment and flags make one ``Config``.

Only this module reads the environment. Every key stands, explained, in ``configs/development.toml``.

A value is taken from the last of these that names it: the default here, the TOML file, the environment
(``GATEWAY_`` and the key's path in upper case: ``GATEWAY_SOCKET_PING_INTERVAL_MS``), a flag. Each source is
checked by itself, key by key, so that an error can say which key, in which file or variable, and what would
be right. Ranges stand beside the fields they bound.
"""

from __future__ import annotations

import difflib
import re
import tomllib
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from gateway.errors import ConfigError

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


class _Setting(msgspec.Struct, frozen=True):
    """A value that one source gave, and the words that say where: ``gateway.toml: socket.inbox``."""

    value: Any
    origin: str


_PREFIX = "GATEWAY_"
_FILE_VARIABLE = "GATEWAY_CONFIG"
_TEST_PREFIX = "GATEWAY_TEST_"  # read by the test suite; a server started by a test inherits them
# LiveKit's own programs know these names, and so do the deployments that have one (contract 5.6).
_OTHER_VARIABLES = {f"LIVEKIT_{name.upper()}": ("livekit", name) for name in LiveKit.__struct_fields__}
_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text"}

_REDIS_URL = re.compile(r"rediss?://([^/?#@]*@)?[^/?#@\s]+(/\d*)?")

_Path: TypeAlias = tuple[str, ...]


def load(*, file: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Config:
    """The settings of this start.

    Args:
        file: a TOML file; None takes the one that ``GATEWAY_CONFIG`` names, if it does.
        environ: the process's environment, handed in so that only ``main`` touches the real one.
        flags: dotted keys (``"port"``, ``"log.level"``) to values; None means that the flag was not given.

    Raises:
        ConfigError: one line that names the key, what is wrong with it, and where it came from.
    """
    types_by_path = dict(leaves(Config))
    if file is None and environ.get(_FILE_VARIABLE):
        file = Path(environ[_FILE_VARIABLE])
    settings: dict[_Path, _Setting] = {}
    if file is not None:
        settings.update(_from_file(file, types_by_path))
    settings.update(_from_environment(environ, types_by_path))
    settings.update(_from_flags(flags, types_by_path))
    config = msgspec.convert(_nest(settings), Config, dec_hook=_as_path)
    _check_together(config, settings)
    return config


def leaves(section: type[Section], prefix: _Path = ()) -> Iterator[tuple[_Path, Any]]:
    """Every key as (path, type), sections unfolded: ``("limits", "typing", "burst"), Count``."""
    for name, kind in get_type_hints(section, include_extras=True).items():
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from leaves(kind, (*prefix, name))
        else:
            yield (*prefix, name), kind


def variable(path: _Path) -> str:
    """The environment variable of a key."""
    return _PREFIX + "_".join(path).upper()


def _from_file(file: Path, types_by_path: Mapping[_Path, Any]) -> Iterator[tuple[_Path, _Setting]]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: is not TOML: {error}") from error
    for path, value in _unfold(table, types_by_path):
        origin = f"{file}: {'.'.join(path)}"
        if path not in types_by_path:
            raise ConfigError(
                f"{origin}: {_unknown('no such key', '.'.join(path), map('.'.join, types_by_path))}"
            )
        yield path, _Setting(_convert(value, types_by_path[path], origin=origin, strict=True), origin)


def _unfold(
    table: Mapping[str, Any], known: Iterable[_Path], prefix: _Path = ()
) -> Iterator[tuple[_Path, Any]]:
    """The leaves of a parsed file; what is no section of ours ends the descent, known or not."""
    sections = {path[: len(prefix) + 1] for path in known if len(path) > len(prefix) + 1}
    for name, value in table.items():
        path = (*prefix, name)
        if isinstance(value, dict) and path in sections:
            yield from _unfold(value, known, path)
        else:
            yield path, value


def _from_environment(
    environ: Mapping[str, str], types_by_path: Mapping[_Path, Any]
) -> Iterator[tuple[_Path, _Setting]]:
    for name, known in _OTHER_VARIABLES.items():
        if name in environ:
            origin = f"environment variable {name}"
            value = _convert(environ[name], types_by_path[known], origin=origin, strict=False)
            yield known, _Setting(value, origin)
    paths = {variable(path): path for path in types_by_path}
    for name, text in environ.items():
        if not name.startswith(_PREFIX) or name == _FILE_VARIABLE or name.startswith(_TEST_PREFIX):
            continue
        if name not in paths:
            raise ConfigError(f"environment variable {name}: {_unknown('no such setting', name, paths)}")
        path = paths[name]
        origin = f"environment variable {name}"
        yield path, _Setting(_convert(text, types_by_path[path], origin=origin, strict=False), origin)


def _from_flags(
    flags: Mapping[str, object], types_by_path: Mapping[_Path, Any]
) -> Iterator[tuple[_Path, _Setting]]:
    for key, value in flags.items():
        if value is not None:
            path = tuple(key.split("."))
            origin = f"flag --{key.replace('.', '-').replace('_', '-')}"
            yield path, _Setting(_convert(value, types_by_path[path], origin=origin, strict=False), origin)


def _convert(value: object, kind: Any, *, origin: str, strict: bool) -> Any:
    """``value`` as the key's type. Not strict: text is read as a number or boolean, empty text as absent."""
    if not strict and value == "" and _optional(kind):
        return None
    try:
        return msgspec.convert(value, kind, strict=strict, dec_hook=_as_path)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{origin}: expected {_expected(kind, error)}, not {value!r}") from error


def _as_path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str | Path) and str(value):
        return Path(value)
    raise ValueError("a path")


def _optional(kind: Any) -> bool:
    return get_origin(kind) in {Union, types.UnionType} and type(None) in get_args(kind)


def _expected(kind: Any, error: msgspec.ValidationError) -> str:
    """What would be right, in words: ``a whole number >= 1``."""
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(get_args(kind))
    text = str(error).split(" - at `")[0].split(", got ")[0].removeprefix("Expected ")
    for name, word in _WORDS.items():
        text = text.replace(f"`{name}`", word).replace(f"`{name} | null`", word)
    return text


def _nest(settings: Mapping[_Path, _Setting]) -> dict[str, Any]:
    """The defaults as tables, with ``settings`` in their places: a section given in part keeps the rest."""
    nested: dict[str, Any] = msgspec.to_builtins(Config(), enc_hook=str)
    for path, setting in settings.items():
        table = nested
        for name in path[:-1]:
            table = table[name]
        table[path[-1]] = setting.value
    return nested


def _unknown(problem: str, name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"{problem}; did you mean {near[0]}?" if near else problem


def _check_together(config: Config, settings: Mapping[_Path, _Setting]) -> None:
    """What one key alone cannot show. The blame falls on the key that was given, or else on its name."""

    def blame(*path: str) -> str:
        return settings[path].origin if path in settings else ".".join(path)

    tls = config.tls
    if (tls.certificate is None) != (tls.key is None):
        given, missing = ("certificate", "key") if tls.key is None else ("key", "certificate")
        raise ConfigError(f"{blame('tls', given)}: needs tls.{missing} beside it")
    files = {
        ("tls", "certificate"): tls.certificate,
        ("tls", "key"): tls.key,
        ("redis", "ca"): config.redis.ca,
    }
    for key, path in files.items():
        if path is not None and not path.is_file():
            raise ConfigError(f"{blame(*key)}: there is no file {path}")
    if config.tokens.default_s > config.tokens.max_s:
        raise ConfigError(
            f"{blame('tokens', 'default_s')}: {config.tokens.default_s} is more than tokens.max_s,"
            f" {config.tokens.max_s}"
        )
    if config.public_url is not None:
        parts = urlsplit(config.public_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(
                f"{blame('public_url')}: expected the http(s) address of clients, not {config.public_url!r}"
            )
    if config.database_url is not None and not config.database_url.startswith(
        ("postgresql://", "postgres://")
    ):
        # Not shown: whatever it is, there is a password in it.
        raise ConfigError(f"{blame('database_url')}: expected postgresql://user:password@host/database")
    if not _REDIS_URL.fullmatch(config.redis.url):
        raise ConfigError(
            f"{blame('redis', 'url')}: expected redis://user:password@host:port/0, or rediss:// for TLS"
        )
    halves = {name: getattr(config.livekit, name) for name in ("url", "api_key", "api_secret")}
    named = [name for name, value in halves.items() if value is not None]
    if named and len(named) < len(halves):
        absent = next(name for name in halves if name not in named)
        raise ConfigError(f"{blame('livekit', named[0])}: needs livekit.{absent} beside it")
    for name in ("url", "public_url"):
        address = getattr(config.livekit, name)
        if address is not None:
            parts = urlsplit(address)
            if parts.scheme not in {"http", "https", "ws", "wss"} or not parts.hostname:
                raise ConfigError(
                    f"{blame('livekit', name)}: expected a ws(s) or http(s) address, not {address!r}"
                )
    if config.data.exists() and not config.data.is_dir():
        raise ConfigError(f"{blame('data')}: {config.data} is a file, not a folder")
