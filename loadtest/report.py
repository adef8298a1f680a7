"""A run as one HTML file that needs nothing else: a table, how long things took over time, and how that is distributed."""

from __future__ import annotations

import html
import io
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from loadtest.record import Line, Record, percentiles_ms

SHARES = (0.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.8, 99.9, 99.95, 99.99)
COLUMNS = 3

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; width: 100% } td, th { padding: .3rem .6rem; text-align: right }
th { border-bottom: 1px solid #888 } td:first-child, th:first-child { text-align: left }
tr:nth-child(even) td { background: #f4f4f4 } .facts td { text-align: left } .failures { color: #b00 }
svg { width: 100%; height: auto }
"""


def write(path: Path, record: Record, *, title: str, about: Mapping[str, object]) -> None:
    """Write the report of a run that is over."""
    measured = {name: line for name, line in sorted(record.lines.items()) if line.count}
    facts = "".join(
        f"<tr><td>{_text(name)}</td><td>{_text(value)}</td></tr>" for name, value in about.items()
    )
    path.write_text(
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<title>{_text(title)}</title><style>{STYLE}</style>"
        f"<h1>{_text(title)}</h1><table class=facts>{facts}</table>"
        f"<h2>What took how long</h2>{_table(record)}"
        f"<h2>Over time</h2>{_over_time(measured, record.slice_s)}"
        f"<h2>Distribution</h2>{_distribution(measured)}</html>",
        encoding="utf-8",
    )


def _table(record: Record) -> str:
    rows = []
    for name, told in record.summary().items():
        failures: Any = told["failures"]
        cells = [
            told["count"],
            *(told.get(f"p{share}_ms", "-") for share in ("50", "90", "99", "99.9", "100")),
        ]
        why = "; ".join(f"{count} times {reason}" for reason, count in failures.items()) or "-"
        numbers = "".join(f"<td>{_number(cell)}</td>" for cell in cells)
        rows.append(f"<tr><td>{_text(name)}</td>{numbers}<td class=failures>{_text(why)}</td></tr>")
    heads = ("", "count", "p50 ms", "p90", "p99", "p99.9", "most", "failures")
    return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{''.join(rows)}</table>"


def _over_time(measured: Mapping[str, Line], slice_s: float) -> str:
    def paint(axes: Any, line: Line) -> None:
        moments = sorted(line.slices)
        found = [percentiles_ms(line.slices[moment], (50.0, 99.0)) for moment in moments]
        times = [(moment + 0.5) * slice_s for moment in moments]
        p50, p99 = [at[50.0] for at in found], [at[99.0] for at in found]
        axes.plot(times, p50, marker=".", markersize=3)
        axes.fill_between(times, p50, p99, alpha=0.25, linewidth=0)

    return _panels(measured, paint, x="seconds since the start", y="ms: p50, shaded up to p99")


def _distribution(measured: Mapping[str, Line]) -> str:
    def paint(axes: Any, line: Line) -> None:
        # What is rarer than once in all that was measured is not a measurement.
        shares = [share for share in SHARES if share <= 100 * (1 - 1 / (line.count + 1))]
        found = percentiles_ms(line.total, shares)
        axes.plot(
            [_nines(share) for share in shares], [found[share] for share in shares], marker=".", markersize=3
        )
        ticks = (0.0, 90.0, 99.0, 99.9, 99.99)
        axes.set_xticks([_nines(share) for share in ticks], [f"{share:g}" for share in ticks])

    return _panels(measured, paint, x="% of all took no longer than", y="ms")


def _panels(measured: Mapping[str, Line], paint: Callable[[Any, Line], None], *, x: str, y: str) -> str:
    """A panel for each name, all on the same axes: a dozen curves in one would hide each other."""
    rows = max(1, math.ceil(len(measured) / COLUMNS))
    figure = Figure(figsize=(10, 0.6 + 1.7 * rows), layout="constrained")
    grid = [*figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).flat]
    for axes, (name, line) in zip(grid, measured.items(), strict=False):
        paint(axes, line)
        axes.set_title(name, size=9, loc="left")
        axes.grid(visible=True, alpha=0.3)
        axes.tick_params(labelsize=7, labelbottom=True)
    for axes in grid[len(measured) :]:
        axes.set_axis_off()
    if measured:
        grid[0].set_yscale("log")  # shared
    figure.supxlabel(x, size=9)
    figure.supylabel(y, size=9)
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg")
    return drawn.getvalue().partition("?>")[2].partition('dtd">')[2]


def _nines(share: float) -> float:
    """90, 99 and 99.9 percent at even distances."""
    return -math.log10(1 - share / 100)


def _number(value: object) -> str:
    return f"{value:,}".replace(",", " ") if isinstance(value, int | float) else str(value)


def _text(value: object) -> str:
    return html.escape(str(value))
