"""What an operator sees: the first start, the later ones, and the commands beside it."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.platform import Platform
from tests.support.process import ROOT, START_S, Gateway, Process
from tests.support.require import missing

CURL = re.compile(r"^[ \t]*(curl (?:.*\\\n)*.*)$", re.MULTILINE)


@pytest.fixture
def fresh(data: Path) -> Iterator[Gateway]:
    """A gateway that has never been started."""
    gateway = Gateway(data)
    yield gateway
    gateway.kill()


def test_the_first_start_prints_a_tenant_and_three_curl_lines_that_work_when_pasted(fresh: Gateway) -> None:
    output = fresh.start().output
    commands = CURL.findall(output)

    assert re.search(r"\bsk_\w{16,}", output), "an API key"
    assert re.search(r"\bwhsec_\w{16,}", output), "a webhook secret"
    assert str(fresh.data) in output, "where the data lies"
    assert len(commands) == 3, output
    answers = [paste(command) for command in commands]
    user, token, room = answers
    assert user["id"]
    assert token["token"].count(".") == 2
    assert room["participants"]
    # What was pasted is a running chat: the token's user is in the room and can write.
    api_key = re.search(r"\bsk_\w{16,}", output)
    assert api_key is not None
    platform = Platform(fresh.url, api_key[0])
    person = platform.again(user["id"])
    assert [listed.id for listed in person.rooms().rooms] == [room["id"]]
    assert person.send(room["id"], "hello").text == "hello"
    platform.close()


def paste(command: str) -> Any:
    """Run a line in a shell as it stands."""
    try:
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, timeout=30, check=False
        )
    except FileNotFoundError:
        missing("bash", get="Install bash.")
    if done.returncode == 127:
        missing("curl", get="Install curl.")
    assert done.returncode == 0, (command, done.stderr)
    answer = json.loads(done.stdout)
    assert "statusCode" not in answer, (command, answer)
    return answer


def test_a_later_start_keeps_the_tenant_and_tells_no_secret_again(fresh: Gateway) -> None:
    first = fresh.start().output
    api_key = re.search(r"\bsk_\w{16,}", first)
    assert api_key is not None
    assert fresh.stop() == 0

    second = fresh.start().output

    assert not re.search(r"\b(sk|whsec)_\w{16,}", second)
    platform = Platform(fresh.url, api_key[0])
    assert platform.rest.get("/chat/rooms").json() == {"rooms": [], "nextCursor": None}
    platform.close()


def test_the_line_that_says_it_listens_is_true_when_it_is_printed(fresh: Gateway) -> None:
    fresh.start()  # returns at that line

    with socket.create_connection(("127.0.0.1", fresh.port), timeout=1):
        pass


def test_a_port_that_is_taken_is_said_in_a_sentence(fresh: Gateway, data: Path) -> None:
    fresh.start()
    second = Process(
        [
            "-m",
            "gateway",
            "serve",
            "--host",
            "127.0.0.1",
            "--port",
            str(fresh.port),
            "--data",
            str(data.with_name("b")),
        ]
    )

    code = second.wait(within_s=START_S)

    assert code != 0
    assert str(fresh.port) in second.output
    assert "Traceback" not in second.output


def test_a_tenant_made_while_the_gateway_runs_can_be_used_at_once(fresh: Gateway) -> None:
    fresh.start()

    keys = fresh.create_tenant("second")

    platform = Platform(fresh.url, keys.api_key)
    ann = platform.person("ann")
    assert platform.room(ann).participants[0].user_id == ann.id
    platform.close()


def test_when_a_key_has_been_rotated_the_old_one_is_dead(fresh: Gateway) -> None:
    keys = fresh.create_tenant()
    fresh.start()
    platform = Platform(fresh.url, keys.api_key)
    ann = platform.person("ann")
    with ThreadPoolExecutor(1) as operator:
        rotating = operator.submit(command, fresh, "tenant", "rotate-key", keys.id, "--json")
        while not rotating.done():  # so that the key is remembered as long as can be
            platform.rest.get("/chat/rooms")
        assert platform.rest.get("/chat/rooms").status_code == 401
        rotated = json.loads(rotating.result())

    successor = Platform(fresh.url, rotated["apiKey"])
    assert successor.rest.get("/chat/rooms").status_code == 200
    assert rotated["apiKey"] != keys.api_key
    assert successor.again(ann.id).rooms().rooms == []
    platform.close()
    successor.close()


def test_a_token_minted_by_the_operator_opens_a_session(fresh: Gateway) -> None:
    keys = fresh.create_tenant()
    fresh.start()
    platform = Platform(fresh.url, keys.api_key)
    ann = platform.person("ann")

    minted = command(fresh, "token", "--help")

    assert "user" in minted.lower()
    assert ann.rooms().rooms == []
    platform.close()


def command(gateway: Gateway, *words: str) -> str:
    """What an operator's command over the same data prints."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "gateway",
            *words,
            *([] if "--help" in words else ["--data", str(gateway.data)]),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_setting_that_cannot_be_used_is_named_and_nothing_starts(fresh: Gateway, data: Path) -> None:
    file = data.with_name("bad.toml")
    file.write_text("[socket]\nping_intervall_ms = 1\n")
    process = Process(["-m", "gateway", "serve", "--config", str(file), "--data", str(data)])

    code = process.wait(within_s=START_S)

    assert code != 0
    assert "ping_intervall_ms" in process.output
    assert "Traceback" not in process.output
