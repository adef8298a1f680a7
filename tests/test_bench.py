"""The benches run, against the real gateway, and print what they promise: JSON and, last, one line to read."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from bench.report import Report
from bench.soak import slope
from bench.targets import TARGETS, table
from tests.support.require import missing

ROOT = Path(__file__).parent.parent

CASES = {
    "fanout": (
        [f"{sessions} sessions, {in_flight} in flight" for sessions in (1, 20) for in_flight in (1, 8)],
        "cpu_us_per_delivery",
    ),
    "echo": (["5 connections, 1 in flight", "5 connections, 8 in flight"], "cpu_us_per_event"),
    "post": (["5 connections"], "cpu_us_per_request"),
    "rooms": (["5 connections"], "cpu_us_per_list"),
    "idle": (["20 connections"], "server_rss_mb"),
    "commit": (["1 writers", "5 writers"], "writes_per_s"),
    "calls": (
        [f"20 devices, {others} other calls ringing" for others in (0, 5)],
        "silenced_p99_ms",
    ),
    "recovery": (["20 clients, 5 missed events each"], "back_p99_ms"),
    "storm": (["40 connect", "40 held", "40 come back"], "last_ms"),
    "processes": (["2 processes, 1 tenants", "2 processes, 2 tenants"], "messages_per_s"),
    "nodes": (["1 in flight", "8 in flight"], "there_p50_ms"),
    "soak": (["20 people"], "rss_mb"),
    "growth": (
        [
            f"{axis} {size}"
            for axis, sizes in {
                "room-size": (1, 20),
                "rooms": (1, 20),
                "connections": (20, 40),
                "messages": (200, 400),
            }.items()
            for size in sizes
        ],
        "cpu_us_per_operation",
    ),
}


def run_bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def report_of(stdout: str) -> tuple[dict[str, Any], str]:
    body, _, line = stdout.rstrip("\n").rpartition("\n")
    return json.loads(body), line


@pytest.mark.parametrize("bench", CASES)
def test_each_bench_measures_the_gateway_and_says_so_in_one_line(bench: str) -> None:
    done = run_bench(bench, "--quick", "--peers", "none")

    assert done.returncode == 0, done.stderr + done.stdout
    report, line = report_of(done.stdout)
    cases, figure = CASES[bench]
    assert list(report["results"]) == cases
    assert all(report["results"][case]["gateway"][figure] > 0 for case in cases)
    named = {name for by_server in report["results"].values() for name in by_server["gateway"]}
    assert {name for target in TARGETS if target.bench == bench for name in (target.figure, target.over)} <= {
        *named,
        None,
    }
    assert {"command", "commit", "machine", "parameters", "rounds"} <= report.keys()
    assert report["skipped"] == []
    assert line.startswith(f"{bench}, ")


def test_a_commit_per_write_and_postgresql_are_measured_beside_the_store() -> None:
    report, line = report_of(run_bench("commit", "--quick").stdout)

    assert report["gateway_times_better"]["5 writers"]["commit-per-write"]["writes_per_s"] > 0
    assert report["gateway_times_better"]["5 writers"]["postgresql"]["writes_per_s"] > 0
    assert "x commit-per-write" in line


def test_a_report_is_kept_and_drawn(tmp_path: Path) -> None:
    if find_spec("matplotlib") is None:
        missing("matplotlib", get="pip install matplotlib")
    kept = tmp_path / "post.json"
    done = run_bench(
        "post", "--quick", "--peers", "none", "--json", str(kept), "--plot", str(tmp_path / "post")
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(kept.read_text()) == report_of(done.stdout)[0]
    assert (tmp_path / "post.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "post.svg").read_text()

    drawn = run_bench("plot", str(kept), str(kept), "--plot", str(tmp_path / "both"))
    assert drawn.returncode == 0, drawn.stderr
    assert (tmp_path / "both.svg").stat().st_size > (tmp_path / "post.svg").stat().st_size


def test_how_memory_went_is_drawn_as_a_curve(tmp_path: Path) -> None:
    if find_spec("matplotlib") is None:
        missing("matplotlib", get="pip install matplotlib")
    done = run_bench("soak", "--quick", "--seconds", "1", "--plot", str(tmp_path / "soak"))

    assert done.returncode == 0, done.stderr
    (curve,) = report_of(done.stdout)[0]["curves"]
    assert len(curve["lines"]["gateway"]) > 1
    assert "minutes" in (tmp_path / "soak.svg").read_text()


def test_what_is_measured_can_be_looked_into(tmp_path: Path) -> None:
    if which("py-spy", path=Path(sys.executable).parent) is None:
        missing("py-spy", get="pip install py-spy")
    done = run_bench("echo", "--quick", "--peers", "none", "--profile", str(tmp_path / "echo"))

    assert done.returncode == 0, done.stderr
    assert "gateway/net/multiplexer.py" in (tmp_path / "echo-1.svg").read_text()
    assert (tmp_path / "echo-2.svg").exists()


def test_all_figures_are_measured_by_one_call_and_kept_in_a_folder(tmp_path: Path) -> None:
    done = run_bench("all", "--quick", "--only", "rooms,echo-on-two", "--json", str(tmp_path))

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0].partition("] ")[2] for line in lines if "] " in line] == [
        "rooms",
        "echo-on-two",
    ]
    assert lines[-1] == "|---|---|---|---|"  # nothing that was measured had a target: the crowd was small
    assert json.loads((tmp_path / "rooms.json").read_text())["bench"] == "rooms"
    assert json.loads((tmp_path / "echo-on-two.json").read_text())["parameters"]["workers"] == 2


def test_parts_of_a_storm_can_be_left_out() -> None:
    report, _ = report_of(run_bench("storm", "--quick", "--only", "connect,held").stdout)
    assert [*report["results"]] == ["40 connect", "40 held"]
    assert report["results"]["40 held"]["gateway"]["clients"] == 40


def test_what_is_reached_is_compared_with_what_was_to_be_reached() -> None:
    def post(times: float, p99: float, workers: int = 1) -> dict[str, Any]:
        figures = {
            "half_load_p99_ms": p99,
            "half_load_delivery_p99_ms": 6.0,
            "half_load_delivery_p50_ms": 4.0,
        }
        times_better = {"50 connections": {"fastapi": {"requests_per_s": times}}}
        return {
            "bench": "post",
            "parameters": {"workers": workers},
            "results": {"50 connections": {"gateway": figures}},
            "gateway_times_better": times_better,
        }

    told = "\n".join(table([post(5.4, 30.0), post(9.0, 30.0, workers=2)]))
    assert "| 6 times FastAPI, as durable | 5.4 | **90%** |" in told
    assert "| 9 |" not in told
    assert "| at most 25 ms | 30 | **83%** |" in told
    assert "| at most 2 times its p50 | 1.5 | 133% |" in told
    assert "| 6 times FastAPI, as durable | 6.3 | 105% |" in "\n".join(table([post(6.3, 30.0)]))


def test_several_processes_are_measured_together() -> None:
    done = run_bench("post", "--quick", "--peers", "none", "--workers", "2")

    assert done.returncode == 0, done.stderr + done.stdout
    report, _ = report_of(done.stdout)
    assert report["results"]["5 connections"]["gateway"]["cpu_us_per_request"] > 0
    assert report["parameters"]["workers"] == 2


def test_a_slope_is_that_of_the_whole_line_and_not_of_its_ends() -> None:
    assert slope([(0, 1), (1, 3), (2, 5)]) == 2.0
    assert slope([(0, 5), (1, 0), (2, 5)]) == 0.0


def test_what_is_no_report_is_not_drawn(tmp_path: Path) -> None:
    if find_spec("matplotlib") is None:
        missing("matplotlib", get="pip install matplotlib")
    file = tmp_path / "no.json"
    file.write_text("{}")
    drawn = run_bench("plot", str(file), "--plot", str(tmp_path / "no"))

    assert drawn.returncode == 1
    assert drawn.stderr.startswith(f"{file} is not a report")


def test_a_peer_nobody_knows_is_refused_by_name() -> None:
    done = run_bench("post", "--peers", "fastapy")

    assert done.returncode != 0
    assert "fastapy" in done.stderr


def test_ratios_compare_within_a_round_and_say_how_many_times_better_the_gateway_is() -> None:
    report = Report("fanout", "cpu_us_per_delivery", "µs")
    for number, own, peer in ((1, 2.0, 8.0), (2, 4.0, 8.0), (3, 1.0, 9.0)):
        report.add("case", "gateway", number, {"cpu_us_per_delivery": own, "sent_per_s": own})
        report.add("case", "peer", number, {"cpu_us_per_delivery": peer, "sent_per_s": 1.0})

    assert report.ratios("case") == {"peer": {"cpu_us_per_delivery": 4.0, "sent_per_s": 2.0}}
    report.also = ("sent_per_s",)
    assert report.line().endswith("case: 2 (4x peer), sent_per_s 2 (2x peer)")


def test_a_figure_that_is_missing_is_told_as_missing() -> None:
    report = Report("post", "cpu_us_per_request", "µs")
    report.add("case", "peer", 1, {"cpu_us_per_request": 5.0})
    report.skip("gateway", "case", "it did not start")

    assert "not measured" in report.line()
    assert json.loads(report.to_json({}))["skipped"][0]["reason"] == "it did not start"
