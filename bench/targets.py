"""What the figures are to reach, and whether those of some reports do: ``python -m bench targets FILES``.

The table of the README is this, of the reports that lie in ``bench/figures``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.contest import GATEWAY


@dataclass(frozen=True, slots=True)
class Target:
    """
    Attributes:
        what: is measured, in words.
        case: of which bench, by its name in the report.
        figure: by its name in the report.
        bound: what is to be reached.
        unit: of the bound, in words; with a peer, whom the gateway is so many times better than.
        peer: by its name in the report; None for a figure that stands alone.
        over: another figure of the same case, by which this one is divided.
        at_most: whether less is better.
    """

    what: str
    bench: str
    case: str
    figure: str
    bound: float
    unit: str
    peer: str | None = None
    over: str | None = None
    at_most: bool = False

    def reached(self, report: Mapping[str, Any]) -> float | None:
        """What a report has of it."""
        if self.peer is not None:
            ratios = report["gateway_times_better"].get(self.case, {})
            ratio: float | None = ratios.get(self.peer, {}).get(self.figure)
            return ratio
        figures = report["results"].get(self.case, {}).get(GATEWAY, {})
        if self.figure not in figures:
            return None
        value: float = figures[self.figure]
        return value / figures[self.over] if self.over else value


FANOUT = "one message to 1 000 sessions, {} in flight"
CPU = "cpu_us_per_delivery"
NODE = "times Node socket.io"
POST = "sending over REST, 50 connections"
HALF = "the same at half of that rate, {}"

TARGETS = (
    Target(FANOUT.format("one"), "fanout", "1000 sessions, 1 in flight", CPU, 2, NODE, "socketio-node"),
    Target(
        FANOUT.format("one"), "fanout", "1000 sessions, 1 in flight", CPU, 0.85, "times Bun's pub/sub", "bun"
    ),
    Target(
        "the same at half of that rate, p99 of delivery",
        "fanout",
        "1000 sessions, 1 in flight",
        "half_load_delivery_p99_ms",
        2,
        "times its p50",
        over="half_load_delivery_p50_ms",
        at_most=True,
    ),
    Target(FANOUT.format("eight"), "fanout", "1000 sessions, 8 in flight", CPU, 10, NODE, "socketio-node"),
    Target(
        "a small event and its answer",
        "echo",
        "50 connections, 1 in flight",
        "cpu_us_per_event",
        1.5,
        NODE,
        "socketio-node",
    ),
    Target(POST, "post", "50 connections", "requests_per_s", 6, "times FastAPI, as durable", "fastapi"),
    Target(
        POST,
        "post",
        "50 connections",
        "requests_per_s",
        0.6,
        "times FastAPI, storing nothing",
        "fastapi-stub",
    ),
    Target(HALF.format("p50"), "post", "50 connections", "half_load_p50_ms", 7, "ms", at_most=True),
    Target(HALF.format("p99"), "post", "50 connections", "half_load_p99_ms", 25, "ms", at_most=True),
    Target(
        HALF.format("delivery's p99"),
        "post",
        "50 connections",
        "half_load_delivery_p99_ms",
        2,
        "times its p50",
        over="half_load_delivery_p50_ms",
        at_most=True,
    ),
    Target(
        "a list of 50 rooms",
        "rooms",
        "50 connections",
        "lists_per_s",
        3,
        "times FastAPI with SQLAlchemy",
        "fastapi-sqlalchemy",
    ),
    Target(
        "memory of a silent connection, of 10 000",
        "idle",
        "10000 connections",
        "pss_per_connection_kb",
        3,
        "KiB",
        at_most=True,
    ),
    Target(
        "held by one process, with pings and presence",
        "storm",
        "19850 held",
        "clients",
        20_000,
        "connections",
    ),
    Target("10 000 connect at once", "storm", "10000 connect", "last_ms", 15_000, "ms", at_most=True),
    Target(
        "10 000 are cut off and come back", "storm", "10000 come back", "last_ms", 15_000, "ms", at_most=True
    ),
    Target(
        "memory in half an hour of everyday life",
        "soak",
        "500 people",
        "rss_growth_percent",
        1,
        "% growth",
        at_most=True,
    ),
)


def table(reports: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Lines of Markdown, for those targets of which there is a report of one process.

    What is missed is in bold; nothing is told as reached more than tenfold.
    """
    yield "| | target | reached | of the target |"
    yield "|---|---|---|---|"
    alone = [report for report in reports if report["parameters"]["workers"] == 1]
    for target in TARGETS:
        values = [target.reached(report) for report in alone if report["bench"] == target.bench]
        for value in values:
            if value is not None:
                yield _row(target, value)


def _row(target: Target, value: float) -> str:
    share = target.bound / max(value, 1e-9) if target.at_most else value / target.bound
    told = f"{min(share, 10):.0%}" if share >= 1 else f"**{share:.0%}**"
    most = "at most " if target.at_most else ""
    return f"| {target.what} | {most}{_short(target.bound)} {target.unit} | {_short(value)} | {told} |"


def _short(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 100 else f"{value:.3g}"
