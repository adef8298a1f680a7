"""One ``Config`` from a file, the environment and flags; errors that say where to look."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from gateway.config import Config, LiveKit
from gateway.errors import ConfigError
from gateway.settings import leaves, load, variable

DEVELOPMENT = Path(__file__).parent.parent / "configs" / "development.toml"


def config_file(folder: Path, text: str) -> Path:
    path = folder / "gateway.toml"
    path.write_text(text)
    return path


def paths_in(text: str) -> set[tuple[str, ...]]:
    """Every key that a TOML text gives a value."""

    def walk(table: dict[str, Any], prefix: tuple[str, ...]) -> set[tuple[str, ...]]:
        return {
            path
            for name, value in table.items()
            for path in (walk(value, (*prefix, name)) if isinstance(value, dict) else {(*prefix, name)})
        }

    return walk(tomllib.loads(text), ())


class TestWhereValuesComeFrom:
    def test_nothing_given_is_the_defaults(self) -> None:
        assert load(file=None, environ={}, flags={}) == Config()

    def test_the_file_is_weaker_than_the_environment_which_is_weaker_than_a_flag(
        self, tmp_path: Path
    ) -> None:
        file = config_file(tmp_path, 'host = "file"\nport = 1\ndrain_s = 1')
        environ = {"GATEWAY_HOST": "environment", "GATEWAY_PORT": "2"}
        config = load(file=file, environ=environ, flags={"host": "flag"})
        assert (config.host, config.port, config.drain_s) == ("flag", 2, 1.0)

    def test_a_flag_that_was_not_given_changes_nothing(self) -> None:
        assert load(file=None, environ={"GATEWAY_PORT": "2"}, flags={"port": None}).port == 2

    def test_the_environment_can_name_the_file(self, tmp_path: Path) -> None:
        file = config_file(tmp_path, "port = 4000")
        assert load(file=None, environ={"GATEWAY_CONFIG": str(file)}, flags={}).port == 4000

    def test_a_file_that_was_asked_for_wins_over_the_one_in_the_environment(self, tmp_path: Path) -> None:
        file = config_file(tmp_path, "port = 4000")
        assert load(file=file, environ={"GATEWAY_CONFIG": "/nowhere"}, flags={}).port == 4000

    def test_nested_keys_have_variables_of_their_own(self) -> None:
        environ = {
            "GATEWAY_SOCKET_PING_INTERVAL_MS": "300",
            "GATEWAY_SOCKET_PERMESSAGE_DEFLATE": "true",
            "GATEWAY_LIMITS_TYPING_PER_S": "2.5",
        }
        config = load(file=None, environ=environ, flags={})
        assert config.socket.ping_interval_ms == 300
        assert config.socket.permessage_deflate is True
        assert config.limits.typing.per_s == 2.5

    def test_half_a_section_keeps_the_other_half(self, tmp_path: Path) -> None:
        config = load(file=config_file(tmp_path, "[limits.typing]\nburst = 7"), environ={}, flags={})
        assert (config.limits.typing.burst, config.limits.typing.per_s) == (7, Config().limits.typing.per_s)

    def test_no_two_keys_share_a_variable(self) -> None:
        variables = [variable(path) for path, _ in leaves(Config)]
        assert len(set(variables)) == len(variables) > 30

    def test_an_empty_variable_clears_what_may_be_absent(self, tmp_path: Path) -> None:
        file = config_file(tmp_path, 'public_url = "https://chat.example.org"')
        assert load(file=file, environ={"GATEWAY_PUBLIC_URL": ""}, flags={}).public_url is None

    def test_variables_of_other_programs_and_of_the_test_suite_are_not_ours(self) -> None:
        environ = {"PATH": "/bin", "GATEWAY_TEST_REQUIRE": "1", "GATEWAYS": "x"}
        assert load(file=None, environ=environ, flags={}) == Config()

    def test_the_real_environment_plays_no_part(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(os.environ, "GATEWAY_PORT", "1")
        assert load(file=None, environ={}, flags={}).port == 3001


class TestErrorsNameTheKeyAndItsOrigin:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("port = 65536", "port: expected a whole number <= 65535, not 65536"),
            ("port = true", "port: expected a whole number, not True"),
            ('port = "3001"', "port: expected a whole number, not '3001'"),
            ("prot = 1", "prot: no such key; did you mean port?"),
            (
                "[socket]\nping_intervall_ms = 1",
                "socket.ping_intervall_ms: no such key; did you mean socket.ping",
            ),
            ("[sokcet]\ninbox = 1", "sokcet: no such key"),
            ("socket = 3", "socket: no such key"),
            (
                "[socket]\nping_interval_ms = 0",
                "socket.ping_interval_ms: expected a whole number >= 1, not 0",
            ),
            ("[socket]\npermessage_deflate = 1", "socket.permessage_deflate: expected true or false, not 1"),
            ("[http]\nbody_s = -1", "http.body_s: expected a number > 0.0, not -1"),
            ("[http]\nbody_s = nan", "http.body_s: expected a number > 0.0, not nan"),
            ('[log]\nlevel = "loud"', "log.level: expected one of debug, info, warning, error, not 'loud'"),
            ("[limits.typing]\nburst = 0.5", "limits.typing.burst: expected a whole number, not 0.5"),
            ("[tokens]\nmax_s = 86401", "tokens.max_s: expected a whole number <= 86400, not 86401"),
            ("[tokens]\nmax_s = 60\ndefault_s = 61", "tokens.default_s: 61 is more than tokens.max_s, 60"),
            ('data = ""', "data: expected a path, not ''"),
            ('public_url = "chat.example.org"', "public_url: expected the http(s) address"),
            ('public_url = "https://[chat"', "public_url: expected the http(s) address"),
        ],
    )
    def test_in_a_file(self, tmp_path: Path, text: str, message: str) -> None:
        file = config_file(tmp_path, text)
        with pytest.raises(ConfigError, match="^" + re.escape(f"{file}: {message}")):
            load(file=file, environ={}, flags={})

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("GATEWAY_PORT", "http", "expected a whole number, not 'http'"),
            ("GATEWAY_PROT", "1", "no such setting; did you mean GATEWAY_PORT?"),
            ("GATEWAY_HOST", "", "expected a text of length >= 1, not ''"),
            ("GATEWAY_STORE_SYNCHRONOUS", "off", "expected one of full, normal, not 'off'"),
        ],
    )
    def test_in_the_environment(self, name: str, value: str, message: str) -> None:
        with pytest.raises(ConfigError, match="^" + re.escape(f"environment variable {name}: {message}")):
            load(file=None, environ={name: value}, flags={})

    def test_in_a_flag(self) -> None:
        with pytest.raises(ConfigError, match=r"^flag --port: expected a whole number <= 65535, not 70000$"):
            load(file=None, environ={}, flags={"port": 70_000})

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
            load(file=tmp_path / "none.toml", environ={}, flags={})

    def test_a_file_that_is_not_toml(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"gateway\.toml: is not TOML: .*line 2"):
            load(file=config_file(tmp_path, "port = 1\nhost: x"), environ={}, flags={})

    def test_a_data_folder_that_is_a_file(self, tmp_path: Path) -> None:
        file = config_file(tmp_path, "")
        with pytest.raises(ConfigError, match=r"^flag --data: .* is a file, not a folder$"):
            load(file=None, environ={}, flags={"data": str(file)})


class TestTls:
    @pytest.mark.parametrize(("given", "missing"), [("certificate", "key"), ("key", "certificate")])
    def test_one_half_asks_for_the_other(self, given: str, missing: str) -> None:
        with pytest.raises(ConfigError, match=rf"_{given.upper()}: needs tls\.{missing} beside it"):
            load(file=None, environ={f"GATEWAY_TLS_{given.upper()}": __file__}, flags={})

    def test_files_must_exist(self, tmp_path: Path) -> None:
        environ = {"GATEWAY_TLS_CERTIFICATE": __file__, "GATEWAY_TLS_KEY": str(tmp_path / "key.pem")}
        with pytest.raises(ConfigError, match=r"GATEWAY_TLS_KEY: there is no file .*key\.pem"):
            load(file=None, environ=environ, flags={})

    def test_two_files_are_taken(self) -> None:
        environ = {"GATEWAY_TLS_CERTIFICATE": __file__, "GATEWAY_TLS_KEY": __file__}
        assert load(file=None, environ=environ, flags={}).tls.key == Path(__file__)


class TestRedis:
    @pytest.mark.parametrize(
        "url",
        [
            "redis://localhost",
            "rediss://ann:s%40cret@redis.example.org:6380/1",
            "redis://:pw@one:1,two:2,[::1]:3/",
        ],
    )
    def test_an_address_or_several(self, url: str) -> None:
        assert load(file=None, environ={"GATEWAY_REDIS_URL": url}, flags={}).redis.url == url

    @pytest.mark.parametrize(
        "url", ["http://localhost", "redis://", "redis://localhost/db", "redis://secret@"]
    )
    def test_another_address_is_refused_without_showing_the_password_in_it(self, url: str) -> None:
        with pytest.raises(
            ConfigError, match=r"^environment variable GATEWAY_REDIS_URL: expected rediss?://"
        ) as no:
            load(file=None, environ={"GATEWAY_REDIS_URL": url}, flags={})
        assert "secret" not in str(no.value)

    def test_the_file_of_an_authority_must_exist(self, tmp_path: Path) -> None:
        environ = {"GATEWAY_REDIS_CA": str(tmp_path / "ca.pem")}
        with pytest.raises(ConfigError, match=r"GATEWAY_REDIS_CA: there is no file .*ca\.pem"):
            load(file=None, environ=environ, flags={})


class TestDatabase:
    def test_it_is_a_file_in_the_data_folder_unless_there_is_a_url(self) -> None:
        url = "postgresql://ann:sesame@localhost/chat"
        assert load(file=None, environ={}, flags={}).database == Path("data/gateway.db")
        assert load(file=None, environ={"GATEWAY_DATABASE_URL": url}, flags={}).database == url

    def test_another_kind_of_url_is_refused_without_showing_it(self) -> None:
        with pytest.raises(
            ConfigError, match=r"^environment variable GATEWAY_DATABASE_URL: expected"
        ) as refused:
            load(file=None, environ={"GATEWAY_DATABASE_URL": "mysql://ann:sesame@localhost/chat"}, flags={})
        assert "sesame" not in str(refused.value)


class TestLiveKit:
    ENVIRON: ClassVar = {
        "LIVEKIT_URL": "ws://livekit:7880",
        "LIVEKIT_PUBLIC_URL": "wss://media.example.org",
        "LIVEKIT_API_KEY": "key",
        "LIVEKIT_API_SECRET": "secret",
    }

    def test_its_own_variables_are_read(self) -> None:
        assert load(file=None, environ=self.ENVIRON, flags={}).livekit == LiveKit(
            url="ws://livekit:7880",
            public_url="wss://media.example.org",
            api_key="key",
            api_secret="secret",
        )

    def test_they_are_stronger_than_the_file_and_weaker_than_those_of_the_gateway(
        self, tmp_path: Path
    ) -> None:
        file = config_file(tmp_path, '[livekit]\nurl = "http://file"\napi_key = "file"')
        environ = {**self.ENVIRON, "GATEWAY_LIVEKIT_URL": "http://gateway"}
        livekit = load(file=file, environ=environ, flags={}).livekit
        assert (livekit.url, livekit.api_key) == ("http://gateway", "key")

    @pytest.mark.parametrize("missing", ["URL", "API_KEY", "API_SECRET"])
    def test_it_is_given_whole_or_not_at_all(self, missing: str) -> None:
        environ = {name: value for name, value in self.ENVIRON.items() if name != f"LIVEKIT_{missing}"}
        with pytest.raises(
            ConfigError,
            match=rf"^environment variable LIVEKIT_\w+: needs livekit\.{missing.lower()} beside it$",
        ):
            load(file=None, environ=environ, flags={})

    @pytest.mark.parametrize("name", ["LIVEKIT_URL", "LIVEKIT_PUBLIC_URL"])
    @pytest.mark.parametrize("value", ["livekit:7880", "tcp://livekit", "ws://", "ws://["])
    def test_what_is_no_address_is_refused(self, name: str, value: str) -> None:
        with pytest.raises(
            ConfigError, match=rf"^environment variable {name}: expected a ws\(s\) or http\(s\)"
        ):
            load(file=None, environ={**self.ENVIRON, name: value}, flags={})


class TestTheDevelopmentFile:
    def test_it_gives_the_defaults(self) -> None:
        assert load(file=DEVELOPMENT, environ={}, flags={}) == Config()

    def test_the_one_for_a_single_node_can_be_used(self, tmp_path: Path) -> None:
        (tmp_path / "file.pem").touch()
        here = {f"GATEWAY_TLS_{key}": str(tmp_path / "file.pem") for key in ("CERTIFICATE", "KEY")}
        config = load(file=DEVELOPMENT.with_name("single-node.toml"), environ=here, flags={})
        assert config.database == config.data / "gateway.db"

    def test_the_one_for_a_cluster_can_be_used(self) -> None:
        config = load(file=DEVELOPMENT.with_name("cluster.toml"), environ={}, flags={})
        assert config.bus == "redis"
        assert config.database == config.database_url

    @pytest.mark.parametrize("name", ["gateway-1", "gateway-2"])
    def test_the_gateways_of_the_compose_file_get_settings_that_can_be_used(self, name: str) -> None:
        compose = yaml.safe_load(DEVELOPMENT.with_name("compose.yaml").read_text())
        config = load(file=None, environ=compose["services"][name]["environment"], flags={})
        assert config.bus == "redis"
        assert config.node.host == name
        media = yaml.safe_load(compose["services"]["livekit"]["environment"]["LIVEKIT_CONFIG"])
        assert media["keys"] == {config.livekit.api_key: config.livekit.api_secret}
        assert int(compose["services"][name]["stop_grace_period"].removesuffix("s")) > config.drain_s

    def test_it_has_every_key_those_without_a_default_as_comments(self) -> None:
        text = DEVELOPMENT.read_text()
        absent_by_default = {
            ("public_url",),
            ("database_url",),
            ("metrics_token",),
            ("tls", "certificate"),
            ("tls", "key"),
        }
        absent_by_default |= {("redis", "sentinel_password"), ("redis", "ca")}
        absent_by_default |= {("uploads", "folder")}
        absent_by_default |= {
            ("uploads", "s3", name) for name in ("bucket", "endpoint", "access_key_id", "secret_access_key")
        }
        absent_by_default |= {("livekit", name) for name in LiveKit.__struct_fields__}
        assert paths_in(text) == {path for path, _ in leaves(Config)} - absent_by_default
        uncommented = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
        assert paths_in(uncommented) == {path for path, _ in leaves(Config)}
