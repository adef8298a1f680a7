"""The load test runs, against the real gateway: each scenario measures what it is about, and leaves its report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from loadtest.scenarios import SCENARIOS
from tests.support.livekit_served import serve_livekit
from tests.support.process import ROOT, Gateway, Process, TenantKeys
from tests.support.require import missing
from tests.support.secured import Secured

SECONDS = "3"

# What each scenario is about, which must have been measured.
EXPECTED = {
    "connect-storm": {"connect", "join-room", "GET /chat/rooms"},
    "pairs": {"POST /messages", "new-message", "typing", "POST /read", "GET /chat/rooms"},
    "large-room": {"POST /messages", "new-message", "typing", "GET /chat/rooms"},
    "small-rooms": {"POST /messages", "new-message", "join-room"},
    "typing-storm": {"typing"},
    "inbox": {"new-message", "GET /chat/rooms"},
    "reconnect": {"come back", "new-message"},
    "calls": {"POST /calls", "call-invite", "POST /calls/:id/accept", "call-accepted", "POST /calls/:id/end"},
    "open": {"POST /messages", "new-message"},
}


class Target:
    """A gateway to put a load on."""

    def __init__(
        self, gateway: Gateway, keys: TenantKeys, *, environ: Mapping[str, str] | None = None
    ) -> None:
        self.gateway = gateway
        self._keys = keys
        self._environ = {**os.environ, **(environ or {})}

    def load(
        self, scenario: str, *arguments: str, key: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "loadtest", scenario, "--url", self.gateway.url]
        argv += ["--api-key", key or self._keys.api_key, "--users", "8", "--seconds", SECONDS, *arguments]
        return subprocess.run(
            argv, cwd=ROOT, env=self._environ, capture_output=True, text=True, timeout=120, check=False
        )


def results_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    results: dict[str, Any] = json.loads(done.stdout.rstrip("\n").rpartition("\n")[0])["results"]
    return results


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    needed = ("gevent", "hdrh", "locust", "matplotlib", "socketio", "websocket")
    if any(find_spec(name) is None for name in needed):
        missing("The load test", get="pip install -e '.[loadtest]'")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with serve_livekit() as livekit:
        settings = {
            "livekit": {"url": livekit.url, "api_key": livekit.fake.key, "api_secret": livekit.fake.secret}
        }
        gateway = Gateway(tmp_path_factory.mktemp("loadtest") / "data", settings=settings)
        try:
            gateway.start()
            yield Target(gateway, gateway.create_tenant())
        finally:
            gateway.kill()


@pytest.mark.parametrize("scenario", EXPECTED)
def test_a_scenario_measures_what_it_is_about_and_leaves_its_report(
    target: Target, scenario: str, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    done = target.load(scenario, "--report", str(report))

    assert done.returncode == 0, done.stdout + done.stderr
    results, line = results_of(done), done.stdout.splitlines()[-1]
    counts = {name: told["count"] for name, told in results.items()}
    assert all(counts.get(name, 0) > 0 for name in EXPECTED[scenario]), counts
    assert all(told["p50_ms"] <= told["p99_ms"] <= told["p100_ms"] for told in results.values())
    assert line.startswith(f"{scenario}, 8 users: {sum(counts.values())} measured, 0 failed")
    page = report.read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert all(f"<td>{name}</td>" in page for name in EXPECTED[scenario])


def test_every_scenario_has_a_smoke_run() -> None:
    assert EXPECTED.keys() == {*SCENARIOS, "open"}


def test_an_open_load_delivers_each_message_to_everybody_in_its_room(target: Target) -> None:
    done = target.load("open", "--room", "4", "--rate", "50")

    results = results_of(done)
    assert results["new-message"]["count"] == 4 * results["POST /messages"]["count"]


def test_a_scenario_runs_over_tls(tmp_path: Path) -> None:
    secured = Secured(tmp_path)
    try:
        keys = secured.gateway.create_tenant("load")
        load = Target(secured.gateway, keys, environ={"SSL_CERT_FILE": secured.ca})
        done = load.load("pairs")
    finally:
        secured.gateway.kill()

    assert done.returncode == 0, done.stdout + done.stderr
    assert results_of(done)["new-message"]["count"] > 0


def test_a_gateway_that_dies_under_the_load_is_said_to_have(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "data")
    gateway.start()
    keys = gateway.create_tenant()
    argv = ["-m", "loadtest", "open", "--url", gateway.url, "--api-key", keys.api_key]
    load = Process([*argv, "--users", "8", "--seconds", "60"])
    try:
        load.wait_for_line("new-message")
        gateway.kill()
        assert load.wait(within_s=30) == 1
    finally:
        load.kill()
        gateway.kill()
    assert load.lines[-1].startswith("the run ended early")


def test_what_failed_is_counted_by_its_reason_and_the_exit_says_so(target: Target, tmp_path: Path) -> None:
    """Without a LiveKit nobody can be called."""
    gateway = Gateway(tmp_path / "data")
    gateway.start()
    try:
        done = Target(gateway, gateway.create_tenant()).load("calls")
    finally:
        gateway.kill()

    assert done.returncode == 1
    results = results_of(done)
    assert results["POST /calls"]["count"] == 0
    assert results["POST /calls"]["failures"].keys() == {"answered 503"}


def test_somebody_who_is_shown_offline_while_he_comes_back_is_a_failure(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "data", settings={"presence": {"grace_s": 0.1}})
    gateway.start()
    try:
        done = Target(gateway, gateway.create_tenant()).load("reconnect")
    finally:
        gateway.kill()

    assert done.returncode == 1
    assert results_of(done)["presence"]["failures"]


def test_a_run_in_which_the_driver_itself_was_behind_says_so() -> None:
    record = import_module("loadtest.record").Record(expected_s=1)
    record.took("connect", 0.01)
    spun = time.process_time() + 0.05
    while time.process_time() < spun:
        pass
    assert record.outcome().startswith("1 measured, 0 failed; this process could not keep up")


def test_each_kind_of_thing_has_a_plot_of_its_own_however_many_there_are(tmp_path: Path) -> None:
    record = import_module("loadtest.record").Record(expected_s=1)
    names = [f"GET /thing/{number}" for number in range(14)]
    for name in names:
        record.took(name, 0.01)
    report = tmp_path / "report.html"
    import_module("loadtest.report").write(report, record, title="Load test", about={})
    page = report.read_text(encoding="utf-8")
    assert all(page.count(f"<!-- {name} -->") == 2 for name in names)


def test_a_wrong_key_is_said_in_one_line_which_does_not_repeat_it(target: Target) -> None:
    done = target.load("pairs", key="sk_live_nothing")

    assert done.returncode == 1
    assert "was answered 401" in done.stderr.splitlines()[-1]
    assert "sk_live_nothing" not in done.stdout + done.stderr


def test_a_gateway_that_is_not_there_is_said_in_one_line(target: Target) -> None:
    done = target.load("pairs", "--url", "http://127.0.0.1:9")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("http://127.0.0.1:9 cannot be reached")


def test_the_api_key_is_in_neither_report_nor_output(target: Target, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    done = target.load("typing-storm", "--report", str(report))

    assert "sk_live" not in done.stdout + done.stderr + report.read_text(encoding="utf-8")
