"""How a file, the environment and flags make one ``Config``. Only this module reads the environment.

A value is taken from the last of these that names it: the default in ``gateway/config.py``, the TOML file, the environment
(``GATEWAY_`` and the key's path in upper case: ``GATEWAY_SOCKET_PING_INTERVAL_MS``), a flag. Each source is
checked by itself, key by key, so that an error can say which key, in which file or variable, and what would
be right.
"""

from __future__ import annotations

import difflib
import re
import tomllib
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec

from gateway.config import Config, LiveKit, Section
from gateway.errors import ConfigError

_PREFIX = "GATEWAY_"
_FILE_VARIABLE = "GATEWAY_CONFIG"
_TEST_PREFIX = "GATEWAY_TEST_"  # read by the test suite; a server started by a test inherits them
# LiveKit's own programs know these names, and so do the deployments that have one (contract 5.6).
_OTHER_VARIABLES = {f"LIVEKIT_{name.upper()}": ("livekit", name) for name in LiveKit.__struct_fields__}
_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text"}

_WHOLE = {"tls": ("certificate", "key"), "livekit": ("url", "api_key", "api_secret")}  # all of them or none
_REDIS_URL = re.compile(r"rediss?://([^/?#@]*@)?[^/?#@\s]+(/\d*)?")

_Path: TypeAlias = tuple[str, ...]
_Blame: TypeAlias = Callable[..., str]  # a key's path to where its value came from


class _Setting(msgspec.Struct, frozen=True):
    """A value that one source gave, and the words that say where: ``gateway.toml: socket.inbox``."""

    value: Any
    origin: str


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

    _check_halves(config, blame)
    _check_files(config, blame)
    _check_addresses(config, blame)
    if config.tokens.default_s > config.tokens.max_s:
        raise ConfigError(
            f"{blame('tokens', 'default_s')}: {config.tokens.default_s} is more than tokens.max_s,"
            f" {config.tokens.max_s}"
        )


def _check_halves(config: Config, blame: _Blame) -> None:
    for section, names in _WHOLE.items():
        values = getattr(config, section)
        given = [name for name in names if getattr(values, name) is not None]
        if given and len(given) < len(names):
            absent = next(name for name in names if name not in given)
            raise ConfigError(f"{blame(section, given[0])}: needs {section}.{absent} beside it")


def _check_files(config: Config, blame: _Blame) -> None:
    files = {
        ("tls", "certificate"): config.tls.certificate,
        ("tls", "key"): config.tls.key,
        ("redis", "ca"): config.redis.ca,
    }
    for key, path in files.items():
        if path is not None and not path.is_file():
            raise ConfigError(f"{blame(*key)}: there is no file {path}")
    if config.data.exists() and not config.data.is_dir():
        raise ConfigError(f"{blame('data')}: {config.data} is a file, not a folder")


def _check_addresses(config: Config, blame: _Blame) -> None:
    if config.public_url is not None and not _is_address(config.public_url, {"http", "https"}):
        raise ConfigError(
            f"{blame('public_url')}: expected the http(s) address of clients, not {config.public_url!r}"
        )
    for name in ("url", "public_url"):
        address = getattr(config.livekit, name)
        if address is not None and not _is_address(address, {"http", "https", "ws", "wss"}):
            raise ConfigError(
                f"{blame('livekit', name)}: expected a ws(s) or http(s) address, not {address!r}"
            )
    # These two are not shown: whatever they are, there may be a password in them.
    if config.database_url is not None and not config.database_url.startswith(
        ("postgresql://", "postgres://")
    ):
        raise ConfigError(f"{blame('database_url')}: expected postgresql://user:password@host/database")
    if not _REDIS_URL.fullmatch(config.redis.url):
        raise ConfigError(
            f"{blame('redis', 'url')}: expected redis://user:password@host:port/0, or rediss:// for TLS"
        )


def _is_address(text: str, schemes: set[str]) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:  # brackets without an IPv6 address in them
        return False
    return parts.scheme in schemes and bool(parts.hostname)
