"""Figures in, JSON and one line to read out: medians over the rounds, and ratios to the gateway within each round."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TypeAlias

Figures: TypeAlias = Mapping[str, float]
"""Named numbers with the unit in the name; ``_per_s`` is better high, ``cpu_us_``, ``_ms`` and ``_kb`` are better low, and
any other is told but not compared."""


@dataclass(frozen=True, slots=True)
class Row:
    """One server's figures in one round of one case."""

    case: str
    server: str
    round: int
    figures: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """How figures change with something.

    Attributes:
        x: what it is, in words.
        y: what the figures are, in words.
        lines: name to points.
        wide: whether x spans orders of magnitude.
    """

    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    wide: bool = False


@dataclass(slots=True)
class Report:
    """Everything one call measured.

    Attributes:
        headline: the figure that the line to read gives.
        unit: its unit, in words.
        also: further figures for that line, by name.
        curves: what to draw instead of a bar for each case.
    """

    bench: str
    headline: str
    unit: str
    also: tuple[str, ...] = ()
    curves: list[Curve] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    reference: str = "gateway"

    def add(self, case: str, server: str, round_number: int, figures: Figures) -> None:
        self.rows.append(Row(case, server, round_number, {name: _short(v) for name, v in figures.items()}))

    def skip(self, server: str, case: str, reason: str) -> None:
        self.skipped.append({"server": server, "case": case, "reason": reason})

    def cases(self) -> list[str]:
        return list(dict.fromkeys(row.case for row in self.rows))

    def medians(self, case: str) -> dict[str, dict[str, float]]:
        """Server to figure to its median over the rounds."""
        rows = [row for row in self.rows if row.case == case]
        return {
            server: {
                name: _short(median(row.figures[name] for row in rows if row.server == server))
                for name in next(row.figures for row in rows if row.server == server)
            }
            for server in dict.fromkeys(row.server for row in rows)
        }

    def ratios(self, case: str) -> dict[str, dict[str, float]]:
        """Peer to figure to how many times better the gateway is: the median of the rounds' own ratios."""
        rows = [row for row in self.rows if row.case == case]
        own = {row.round: row.figures for row in rows if row.server == self.reference}
        found: dict[str, dict[str, list[float]]] = {}
        for row in rows:
            if row.server == self.reference or row.round not in own:
                continue
            for name, value in row.figures.items():
                ratio = _times_better(name, own[row.round].get(name, 0.0), value)
                if ratio is not None:
                    found.setdefault(row.server, {}).setdefault(name, []).append(ratio)
        return {
            server: {name: _short(median(values)) for name, values in by_name.items()}
            for server, by_name in found.items()
        }

    def to_json(self, about: Mapping[str, object]) -> str:
        """The whole report, ``about`` (machine, commit, command, parameters) first."""
        body = {
            "bench": self.bench,
            "headline": self.headline,
            "unit": self.unit,
            **about,
            "results": {case: self.medians(case) for case in self.cases()},
            "gateway_times_better": {case: self.ratios(case) for case in self.cases()},
            **({"curves": [asdict(curve) for curve in self.curves]} if self.curves else {}),
            "rounds": [
                {"case": row.case, "server": row.server, "round": row.round, **row.figures}
                for row in self.rows
            ],
            "skipped": self.skipped,
        }
        return json.dumps(body, indent=2, ensure_ascii=False)

    def line(self) -> str:
        """One line: the medians of each case, and how many times better the gateway is than each peer."""
        parts = []
        for case in self.cases():
            own, ratios = self.medians(case).get(self.reference), self.ratios(case)
            if own is None:
                parts.append(f"{case}: not measured")
                continue
            said = [_told(self.headline, own, ratios)]
            said += [f"{name} {_told(name, own, ratios)}" for name in self.also if name in own]
            parts.append(f"{case}: {', '.join(said)}")
        skipped = f"; {len(self.skipped)} skipped" if self.skipped else ""
        return f"{self.bench}, {self.unit}, and times better than peers · {' · '.join(parts)}{skipped}"


def _told(name: str, own: Figures, ratios: Mapping[str, Figures]) -> str:
    beside = ", ".join(f"{by[name]:.3g}x {server}" for server, by in ratios.items() if name in by)
    return f"{own[name]:.6g}" + (f" ({beside})" if beside else "")


def percentile(values: Iterable[float], share: float) -> float:
    """The value that ``share`` (0 to 1) of ``values`` do not exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def latency(values_s: Iterable[float], prefix: str = "") -> dict[str, float]:
    """Median and 99th percentile of latencies, as figures in milliseconds."""
    ordered = sorted(values_s)
    return {
        f"{prefix}p50_ms": percentile(ordered, 0.5) * 1e3,
        f"{prefix}p99_ms": percentile(ordered, 0.99) * 1e3,
    }


def better_high(name: str) -> bool:
    """Whether a figure is better the higher it is."""
    return name.endswith("_per_s")


def _times_better(name: str, own: float, peer: float) -> float | None:
    if not own or not peer:
        return None
    if better_high(name):
        return own / peer
    if name.startswith("cpu_us_") or name.endswith(("_ms", "_kb")):
        return peer / own
    return None


def _short(value: float) -> float:
    return float(f"{value:.4g}") if abs(value) < 1000 else round(value)
