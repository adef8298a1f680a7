"""Figures as a picture, in PNG and SVG: for each bench a panel with a bar for each server in each case, or its curves."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from bench.contest import GATEWAY
from bench.loop import BenchError
from bench.report import better_high

BAR_INCHES = 0.24
ORDERS_APART = 20
"""Figures that differ by more have a logarithmic scale as curves, and one scale each as bars."""

CURVE_BARS = 12
"""A panel of curves is as high as so many bars."""

OUR_COLOUR = "#1668c1"
LINE_COLOURS = (OUR_COLOUR, "#d0603a", "#4c9a5a", "#8a5ac1", "#b08a2e")
COLOURS = ("#9aa5b1", "#c7b299", "#a3b899", "#b79ac1", "#d0a0a0", "#99b8b8")


def draw(reports: Sequence[Mapping[str, Any]], base: Path) -> list[Path]:
    """Draw reports, as their JSON has them, into ``base`` with ``.png`` and ``.svg`` behind it."""
    wanted = [panel for report in reports for panel in _panels(report)]
    heights = [height for height, _ in wanted]
    figure = Figure(figsize=(9, BAR_INCHES * sum(heights) + 0.9 * len(wanted)), layout="constrained")
    panels = figure.subplots(len(wanted), squeeze=False, height_ratios=heights)[:, 0]
    for panel, (_, paint) in zip(panels, wanted, strict=True):
        paint(panel)
    figure.text(0.0, -0.005, _footnote(reports), size=7, va="top")
    drawn = [Path(f"{base}{ending}") for ending in (".png", ".svg")]
    for path in drawn:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without a date: the same figures are the same file.
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, dpi=130, bbox_inches="tight", metadata=metadata)
    return drawn


def _footnote(reports: Sequence[Mapping[str, Any]]) -> str:
    """Where and when: the machine's load before each run too, since a busy machine is another machine."""
    machines = dict.fromkeys(report["machine"]["cpu"] for report in reports)
    commits = dict.fromkeys(report["commit"] for report in reports)
    loads = [report["machine"]["load_before"] for report in reports]
    return (
        f"{', '.join(machines)}, {reports[0]['machine']['cores']} cores, load before {min(loads):g} to {max(loads):g}; "
        f"commit {', '.join(commits)}"
    )


def read(file: Path) -> Mapping[str, Any]:
    """A report that ``--json`` left.

    Raises:
        BenchError: it is not one, or has nothing in it.
    """
    try:
        report: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        measured = report["results"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchError(f"{file} is not a report: {error}") from error
    if not measured:
        raise BenchError(f"{file}: nothing was measured")
    return report


def _panels(report: Mapping[str, Any]) -> list[tuple[int, Callable[[Any], None]]]:
    """How high each panel of a report is, in bars, and what paints it."""
    if curves := report.get("curves"):
        return [(CURVE_BARS, partial(_curves, curve=curve)) for curve in curves]
    rows = sum(len(by_server) + 1 for by_server in report["results"].values())
    return [(rows, partial(_bars, report=report))]


def _curves(axes: Any, curve: Mapping[str, Any]) -> None:
    for (name, points), colour in zip(curve["lines"].items(), cycle(LINE_COLOURS), strict=False):
        axes.plot(*zip(*points, strict=True), label=name, color=colour, marker="." if curve["wide"] else None)
    if curve["wide"]:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:,.0f}")
    found = [value for points in curve["lines"].values() for _, value in points]
    if min(found) * ORDERS_APART < max(found):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:,g}")
    else:
        axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(which="both", labelsize=7)
    axes.set_xlabel(curve["x"], size=8)
    axes.set_ylabel(curve["y"], size=8)
    axes.set_title(curve["title"], size=9, loc="left")
    if len(curve["lines"]) > 1:
        axes.legend(fontsize=7, frameon=False)


def _bars(axes: Any, report: Mapping[str, Any]) -> None:
    """Bars of one scale, or of one for each case where cases are of very different sizes."""
    headline = report["headline"]
    servers = dict.fromkeys(server for by_server in report["results"].values() for server in by_server)
    colours = dict(zip((server for server in servers if server != GATEWAY), cycle(COLOURS), strict=False))
    values = [figures[headline] for by_server in report["results"].values() for figures in by_server.values()]
    alike = max(values) < min(values) * ORDERS_APART
    place, places, names = 0, [], []
    for case, by_server in report["results"].items():
        axes.text(0, place, case, size=8, weight="bold", va="center")
        most = max(values if alike else (figures[headline] for figures in by_server.values()))
        for server, figures in by_server.items():
            place += 1
            value = figures[headline]
            said = f" {value:,.3g}" if value < 1_000 else f" {value:,.0f}"
            axes.barh(place, value / most, color=colours.get(server, OUR_COLOUR), height=0.8)
            axes.text(value / most, place, said, size=7, va="center")
            places.append(place)
            names.append(server)
        place += 1
    axes.set_yticks(places, names, size=7)
    axes.set_ylim(place - 0.4, -0.8)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0)
    axes.spines[:].set_visible(False)
    direction = "more is better" if better_high(headline) else "less is better"
    axes.set_title(f"{report['bench']}: {report['unit']} ({direction})", size=9, loc="left")
