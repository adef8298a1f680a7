"""What was measured: one HDR histogram for each kind of thing, and the same over time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hdrh.histogram import HdrHistogram

LONGEST_US = 120_000_000
DIGITS = 2
SLICES = 120
"""At most so many points along the time axis; each is a histogram for each name, 25 KB."""

PERCENTILES = (50.0, 90.0, 99.0, 99.9, 100.0)

KEEPS_UP = 0.9
"""The share of the time in which this process has work, or waits for a processor to do it, up to which what it measures is
the gateway."""


def _waited_s() -> float:
    """How long this process has stood in line for a processor so far, as Linux counts it."""
    try:
        return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def histogram() -> HdrHistogram:
    return HdrHistogram(1, LONGEST_US, DIGITS)


def percentiles_ms(of: HdrHistogram, wanted: Iterable[float]) -> dict[float, float]:
    """Percentile to milliseconds, in one pass over the histogram."""
    found: dict[float, int] = of.get_percentile_to_value_dict(list(wanted))
    return {share: value / 1e3 for share, value in found.items()}


@dataclass(slots=True)
class Line:
    """One name: how often it went well or not, how long it took, and in which part of the run.

    Attributes:
        failures: sentence to how often.
        slices: by number, of those in which there was something.
    """

    total: HdrHistogram
    failures: Counter[str]
    slices: dict[int, HdrHistogram]

    @property
    def count(self) -> int:
        counted: int = self.total.get_total_count()
        return counted


class Record:
    """Everything one run measured.

    Args:
        expected_s: how long the run may take, from which the width of a slice follows.
    """

    def __init__(self, *, expected_s: float) -> None:
        self.slice_s = max(1.0, expected_s / SLICES)
        self.lines: dict[str, Line] = {}
        self._began = time.perf_counter()
        self._cpu = time.process_time()
        self._waited = _waited_s()
        self._shown_at = self._began
        self._shown: dict[str, int] = {}

    @property
    def elapsed_s(self) -> float:
        return time.perf_counter() - self._began

    @property
    def driver_busy(self) -> float:
        """Share of a processor that this process has used."""
        return (time.process_time() - self._cpu) / self.elapsed_s

    @property
    def driver_waited(self) -> float:
        """Share of the time in which this process had work and others the processors; 0 where the system does not say."""
        return (_waited_s() - self._waited) / self.elapsed_s

    def took(self, name: str, seconds: float) -> None:
        """Something went well and took this long."""
        line = self._line(name)
        us = min(max(int(seconds * 1e6), 1), LONGEST_US)
        line.total.record_value(us)
        number = int(self.elapsed_s / self.slice_s)
        piece = line.slices.get(number)
        if piece is None:
            piece = line.slices[number] = histogram()
        piece.record_value(us)

    def failed(self, name: str, why: str) -> None:
        self._line(name).failures[why[:200]] += 1

    @property
    def count(self) -> int:
        """How often anything went well."""
        return sum(line.count for line in self.lines.values())

    @property
    def failures(self) -> int:
        return sum(line.failures.total() for line in self.lines.values())

    def progress(self) -> str:
        """One line on the time since it was last asked: what went on how often, and how long it takes now."""
        now = time.perf_counter()
        since, self._shown_at = now - self._shown_at, now
        parts = [f"{now - self._began:5.0f} s"]
        for name, line in self.lines.items():
            fresh = line.count - self._shown.get(name, 0)
            self._shown[name] = line.count
            if fresh and line.slices:
                at = percentiles_ms(line.slices[max(line.slices)], (50.0, 99.0))
                parts.append(f"{name} {fresh / since:.0f}/s {at[50.0]:.1f}·{at[99.0]:.1f} ms")
        parts.append(f"driver busy {self.driver_busy:.0%}, waiting for a processor {self.driver_waited:.0%}")
        if self.failures:
            parts.append(f"{self.failures} failed")
        return " | ".join(parts)

    def outcome(self) -> str:
        """The run so far in one sentence, and how far to believe it."""
        told = f"{self.count} measured, {self.failures} failed"
        if self.driver_busy + self.driver_waited > KEEPS_UP:
            told += "; this process could not keep up and has measured itself: try fewer users, or an idle machine"
        return told

    def summary(self) -> dict[str, dict[str, object]]:
        """Name to count, percentiles in milliseconds, and failures with their reasons."""
        return {
            name: {
                "count": line.count,
                **{f"p{share:g}_ms": round(ms, 3) for share, ms in self._percentiles(line).items()},
                "failures": dict(line.failures.most_common(10)),
            }
            for name, line in sorted(self.lines.items())
        }

    def _percentiles(self, line: Line) -> dict[float, float]:
        return percentiles_ms(line.total, PERCENTILES) if line.count else {}

    def _line(self, name: str) -> Line:
        line = self.lines.get(name)
        if line is None:
            line = self.lines[name] = Line(histogram(), Counter(), {})
        return line
