"""A run as one HTML file that needs nothing else: a table, how long things took over time, and how that is distributed."""

from __future__ import annotations

import html
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from loadtest.record import Line, Record, percentiles_ms

SHARES = (0.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.8, 99.9, 99.95, 99.99)

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; width: 100% } td, th { padding: .3rem .6rem; text-align: right }
th { border-bottom: 1px solid #888 } td:first-child, th:first-child { text-align: left }
tr:nth-child(even) td { background: #f4f4f4 } .fact { text-align: left } .failures { color: #b00 }
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
        f"<h1>{_text(title)}</h1><table>{facts}</table>"
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
    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.add_subplot()
    for name, line in measured.items():
        moments = sorted(line.slices)
        found = [percentiles_ms(line.slices[moment], (50.0, 99.0)) for moment in moments]
        times = [(moment + 0.5) * slice_s for moment in moments]
        (drawn,) = axes.plot(times, [at[50.0] for at in found], label=name, marker=".", markersize=3)
        axes.plot(times, [at[99.0] for at in found], color=drawn.get_color(), linestyle=":", linewidth=1)
    axes.set(xlabel="seconds since the start", ylabel="ms (p50; dotted: p99)", yscale="log")
    return _drawn(figure, axes)


def _distribution(measured: Mapping[str, Line]) -> str:
    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.add_subplot()
    for name, line in measured.items():
        # What is rarer than once in all that was measured is not a measurement.
        shares = [share for share in SHARES if share <= 100 * (1 - 1 / (line.count + 1))]
        found = percentiles_ms(line.total, shares)
        axes.plot([_nines(share) for share in shares], [found[share] for share in shares], label=name)
    ticks = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99)
    axes.set_xticks([_nines(share) for share in ticks], [f"{share:g} %" for share in ticks])
    axes.set(xlabel="of all, took no longer than", ylabel="ms", yscale="log")
    return _drawn(figure, axes)


def _drawn(figure: Figure, axes: Any) -> str:
    axes.grid(visible=True, alpha=0.3)
    if axes.lines:
        figure.legend(loc="outside right upper", fontsize="small")
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
