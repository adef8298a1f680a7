"""The ``gateway`` command as an operator and his scripts meet it: in a process of its own."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest

from tests.support.process import ROOT, Gateway, Process
from tests.support.stopwatch import Stopwatch

KEYS = {"id", "apiKey", "webhookSecret"}


class Operator:
    """Runs commands over one data folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
        self._environ = {**inherited, "COLUMNS": "60"}  # a narrow terminal must not break a line

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "gateway", *arguments],
            cwd=ROOT,
            env={**self._environ, "GATEWAY_DATA": str(self.data), **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.count("\n") == 1
        return json.loads(done.stdout)

    def refusal(self, *arguments: str, code: int = 1, **environ: str) -> str:
        """The one line of an error."""
        done = self.run(*arguments, **environ)
        assert (done.returncode, done.stdout) == (code, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith("gateway: ")
        return line.removeprefix("gateway: ")


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path / "data")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path / "data")
    gateway.start()
    yield gateway
    gateway.kill()


class TestTenants:
    def test_create_prints_the_keys_and_nothing_else(self, operator: Operator) -> None:
        keys = operator.json("tenant", "create", "acme")
        assert keys.keys() == KEYS
        assert re.fullmatch(r"sk_live_[0-9a-f]{48}", keys["apiKey"])
        assert re.fullmatch(r"whsec_[0-9a-f]{48}", keys["webhookSecret"])

    def test_list_shows_the_tenants_oldest_first_without_secrets(self, operator: Operator) -> None:
        made = [operator.json("tenant", "create", name)["id"] for name in ("acme", "Ünïcode & co")]
        listed = operator.json("tenant", "list")
        assert [(one["id"], one["name"]) for one in listed] == [(made[0], "acme"), (made[1], "Ünïcode & co")]
        assert {frozenset(one) for one in listed} == {frozenset({"id", "name", "createdAt"})}
        assert "secret" not in operator.run("tenant", "list").stdout

    def test_an_empty_list_is_an_empty_list(self, operator: Operator) -> None:
        assert operator.json("tenant", "list") == []

    @pytest.mark.parametrize("field", ["id", "name"])
    def test_rotating_replaces_both_secrets_of_the_tenant_named(self, operator: Operator, field: str) -> None:
        before = operator.json("tenant", "create", "acme")
        operator.json("tenant", "create", "other")
        after = operator.json("tenant", "rotate-key", before["id"] if field == "id" else "acme")
        assert after.keys() == KEYS
        assert after["id"] == before["id"]
        assert after["apiKey"] != before["apiKey"]
        assert after["webhookSecret"] != before["webhookSecret"]

    def test_a_name_that_two_tenants_share_is_not_guessed_at(self, operator: Operator) -> None:
        for _ in range(2):
            operator.json("tenant", "create", "twin")
        assert operator.refusal("tenant", "rotate-key", "twin") == "There are several tenants twin."

    def test_an_unknown_tenant_is_an_error(self, operator: Operator) -> None:
        assert operator.refusal("tenant", "rotate-key", "nobody") == "There is no tenant nobody."

    @pytest.mark.parametrize("name", ["", "  ", "x" * 81])
    def test_a_name_must_be_one(self, operator: Operator, name: str) -> None:
        assert operator.refusal("tenant", "create", name) == "A tenant's name has 1 to 80 characters."
        operator.json("tenant", "create", "acme")
        assert operator.refusal("tenant", "rename", "acme", name) == "A tenant's name has 1 to 80 characters."

    def test_show_tells_what_a_tenant_has_and_no_secret(self, operator: Operator) -> None:
        keys = operator.json("tenant", "create", "acme")
        shown = operator.json("tenant", "show", "acme")
        assert shown.pop("createdAt")
        assert shown == {
            "id": keys["id"],
            "name": "acme",
            "webhookUrl": None,
            "apps": ["default"],
            "users": 0,
            "rooms": 0,
            "messages": 0,
            "settings": {},
        }
        plain = operator.run("tenant", "show", keys["id"]).stdout
        assert "users       0\n" in plain
        assert "whsec_" not in plain

    def test_a_renamed_tenant_is_found_by_its_new_name(self, operator: Operator) -> None:
        keys = operator.json("tenant", "create", "acme")
        done = operator.run("tenant", "rename", "acme", " Acme & Sons ")
        assert done.stdout == f"{keys['id']}  Acme & Sons\n"
        assert operator.json("tenant", "show", "Acme & Sons")["id"] == keys["id"]
        assert operator.refusal("tenant", "show", "acme") == "There is no tenant acme."


class TestTokensBesideARunningServer:
    def test_a_token_opens_the_api(self, running: Gateway, operator: Operator) -> None:
        keys = operator.json("tenant", "create", "acme")
        upsert(running, keys["apiKey"])
        session = operator.json("token", "--tenant", "acme", "--user", "ann", "--expires-in", "60")
        claims = jwt.decode(session["token"], options={"verify_signature": False})
        assert (claims["sub"], claims["tid"]) == ("ann", keys["id"])
        assert claims["exp"] - claims["iat"] == 60
        authorization = {"Authorization": f"Bearer {session['token']}"}
        assert httpx2.get(f"{running.url}/v1/chat/rooms", headers=authorization).json()["rooms"] == []

    def test_the_only_tenant_need_not_be_named(self, running: Gateway, operator: Operator) -> None:
        (tenant,) = operator.json("tenant", "list")
        upsert(running, operator.json("tenant", "rotate-key", tenant["id"])["apiKey"])
        done = operator.run("token", "--user", "ann")
        claims = jwt.decode(done.stdout.strip(), options={"verify_signature": False})
        assert claims["tid"] == tenant["id"]

    def test_a_user_whose_sessions_an_operator_ends_is_out_within_a_second(
        self, running: Gateway, operator: Operator
    ) -> None:
        (tenant,) = operator.json("tenant", "list")
        upsert(running, operator.json("tenant", "rotate-key", tenant["id"])["apiKey"])
        rooms = f"{running.url}/v1/chat/rooms"

        def signed_in() -> dict[str, str]:
            return {"Authorization": f"Bearer {operator.run('token', '--user', 'ann').stdout.strip()}"}

        before = signed_in()
        assert httpx2.get(rooms, headers=before).status_code == 200
        done = operator.run("tenant", "revoke-sessions", tenant["id"], "--user", "ann")
        watch = Stopwatch()
        assert (done.returncode, done.stdout.split("  ")[0]) == (0, tenant["id"])
        while httpx2.get(rooms, headers=before).status_code != 401:
            assert watch.seconds() < 1
            time.sleep(0.02)
        assert httpx2.get(rooms, headers=signed_in()).status_code == 200


class TestTokens:
    def test_an_unknown_user_gets_none(self, operator: Operator) -> None:
        operator.json("tenant", "create", "acme")
        assert "has no user ann; create it" in operator.refusal("token", "--user", "ann")

    def test_several_tenants_ask_for_a_choice(self, operator: Operator) -> None:
        assert operator.refusal("token", "--user", "ann") == "There is no tenant yet."
        for name in ("one", "two"):
            operator.json("tenant", "create", name)
        assert operator.refusal("token", "--user", "ann") == "There are several tenants: say which."


class TestServe:
    def test_a_port_in_use_is_one_line_and_makes_nothing(self, operator: Operator) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            line = operator.refusal("serve", "--host", "127.0.0.1", "--port", str(port))
        assert line == f"cannot listen on 127.0.0.1 port {port}: Address already in use"
        assert not operator.data.exists()

    def test_the_address_for_other_nodes_is_told_apart(self, operator: Operator) -> None:
        nowhere = "192.0.2.1"  # no machine's address
        line = operator.refusal(
            "serve", "--port", "0", GATEWAY_BUS="redis", GATEWAY_NODE_HOST=nowhere, GATEWAY_NODE_PORT="3002"
        )
        assert line == "cannot listen on 192.0.2.1 port 3002: Cannot assign requested address"

    def test_flags_beat_the_environment_which_beats_the_file(self, tmp_path: Path) -> None:
        file = tmp_path / "gateway.toml"
        file.write_text('host = "192.0.2.1"\nport = 1\ndata = "/nowhere"')
        server = Process(
            ["-m", "gateway", "serve", "--config", str(file), "--port", "0"],
            environ={
                "GATEWAY_HOST": "127.0.0.1",
                "GATEWAY_PORT": "2",
                "GATEWAY_DATA": str(tmp_path / "data"),
            },
        )
        try:
            server.wait_for_line(r"listening on http://127\.0\.0\.1:\d{4,5}$")
        finally:
            server.kill()

    def test_logs_go_to_stderr_so_that_stdout_can_be_read_by_a_script(self, tmp_path: Path) -> None:
        server = subprocess.Popen(
            [sys.executable, *("-m", "gateway", "serve", "--port", "0", "--data", str(tmp_path / "data"))],
            cwd=ROOT,
            env={**os.environ, "GATEWAY_LOG_FORMAT": "json", "GATEWAY_HOST": "127.0.0.1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with server:
            assert server.stdout is not None
            assert server.stderr is not None
            for line in server.stdout:
                if line.startswith("listening on "):
                    break
            server.terminate()
            assert server.stdout.read() == ""
            logged = [json.loads(line) for line in server.stderr]
        assert "shutting down" in [entry["event"] for entry in logged]


class TestMistakes:
    def test_a_wrong_setting_names_its_variable(self, operator: Operator) -> None:
        line = operator.refusal("serve", GATEWAY_PROT="1")
        assert line == "environment variable GATEWAY_PROT: no such setting; did you mean GATEWAY_PORT?"

    @pytest.mark.parametrize(
        "arguments",
        [["serve", "--prot", "1"], ["serve", "--port", "x"], ["tenant", "create"], ["token"], ["nonsense"]],
    )
    def test_a_command_line_that_cannot_be_understood_is_code_2(
        self, operator: Operator, arguments: list[str]
    ) -> None:
        operator.refusal(*arguments, code=2)

    def test_a_file_that_is_no_database_is_one_line(self, operator: Operator) -> None:
        operator.data.mkdir()
        (operator.data / "gateway.db").write_bytes(b"x" * 4096)
        assert operator.refusal("tenant", "list").startswith("the database cannot be used: ")

    def test_a_data_folder_that_cannot_be_made_is_named(self, operator: Operator) -> None:
        line = operator.refusal("tenant", "list", "--data", "/proc/none")
        assert line == "/proc/none: No such file or directory"


def test_migrate_makes_the_database_and_then_finds_it_current(operator: Operator) -> None:
    assert "applied" in operator.run("migrate").stdout
    assert operator.run("migrate").stdout == f"{operator.data / 'gateway.db'}: up to date\n"


def test_help_names_every_command(operator: Operator) -> None:
    shown = operator.run("--help").stdout
    assert {"serve", "tenant", "token", "migrate"} <= set(re.findall(r"\w+", shown))


def test_version_is_the_installed_one(operator: Operator) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", operator.run("--version").stdout)


def upsert(gateway: Gateway, api_key: str) -> None:
    headers = {"x-api-key": api_key}
    httpx2.post(f"{gateway.url}/v1/users", headers=headers, json={"id": "ann"}).raise_for_status()
