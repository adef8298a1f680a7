"""The README's first chat, done as it says: its own commands, pasted into a shell."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.targets import table
from gateway.config import Config
from gateway.settings import leaves
from tests.support.process import ROOT, Gateway, Process
from tests.support.require import missing

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path / "data")
    gateway.start()
    yield gateway
    gateway.kill()


def blocks(heading: str, language: str) -> list[str]:
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def paste(script: str, **values: str) -> list[Any]:
    """Run a block of the README with its placeholders filled in; the JSON that each command answers."""
    for name, value in values.items():
        script = re.sub(rf"^{name}=.*$", f"{name}={value}", script, flags=re.MULTILINE)
    quiet = 'curl() { command curl --silent --show-error --fail-with-body "$@" && echo; }\n'
    done = subprocess.run(
        ["bash", "-euc", quiet + script], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_first_chat_happens_as_it_is_written(running: Gateway, tmp_path: Path) -> None:
    if shutil.which("bash") is None or shutil.which("curl") is None:
        missing("bash or curl", get="Install both.")
    key = re.search(r"sk_live_\w+", running.process.output)
    assert key is not None
    prepare, send = blocks("A first chat", "bash")
    (listen,) = blocks("A first chat", "python")

    *users, room, session = paste(prepare, URL=running.url, API_KEY=key[0])
    assert [user["username"] for user in users] == ["Ann", "Bob"]

    program = listen.replace("http://127.0.0.1:3001", running.url)
    program = program.replace("client.wait()", "print('here')\nclient.wait()")
    script = tmp_path / "bob.py"
    script.write_text(program, encoding="utf-8")
    bob = Process(["-u", str(script), session["token"]])
    try:
        bob.wait_for_line("here")
        variables = f"URL={running.url} API_KEY={key[0]}\n"
        (message,) = paste(variables + send, ROOM=room["id"])
        assert message["senderId"] == "ann"
        bob.wait_for_line(r"^ann \[\{'type': 'text', 'text': 'Hello Bob'\}\]$")
    finally:
        bob.kill()


def test_every_setting_it_names_exists() -> None:
    sections = {".".join(path[:end]) for path, _ in leaves(Config) for end in range(1, len(path) + 1)}
    limits = README.split("\n## Limits\n")[1].split("\n## ")[0]
    named = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", limits))
    assert len(named) > 10
    assert named <= sections


def test_the_targets_it_tells_of_are_those_of_the_kept_figures() -> None:
    reports = [json.loads(file.read_text()) for file in sorted((ROOT / "bench" / "figures").glob("*.json"))]
    assert "\n".join(table(reports)) in README, "python -m bench targets bench/figures/*.json"


def test_every_folder_it_maps_exists() -> None:
    section = README.split("\n## The map\n")[1].split("\n## ")[0]
    mapped = re.findall(r"^\| `([\w/]+)` \|", section, re.MULTILINE)
    assert len(mapped) >= 10
    assert [folder for folder in mapped if not (ROOT / folder).is_dir()] == []


@pytest.mark.parametrize(
    "command", ["serve", "tenant create", "tenant list", "tenant rotate-key", "token", "migrate"]
)
def test_every_command_it_lists_exists(command: str) -> None:
    assert f"`gateway {command}" in README
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *command.split(), "--help"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
