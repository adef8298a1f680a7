"""Texts of messages that carry the moment from which their delivery is measured.

The monotonic clock is one for all processes of a machine, so a message may be measured by another process than the one
that sent it.
"""

from __future__ import annotations

import re
import time

FILLING = "the quick brown fox jumps over the lazy dog, and that is about what one says to another"

STAMP_DIGITS = 15

_STAMP = re.compile(r"at (\d+): ")


def stamped(moment_s: float) -> str:
    """About 100 characters, by ``time.perf_counter()``."""
    return f"at {int(moment_s * 1e6):0{STAMP_DIGITS}d}: {FILLING}"


def age_s(text: str) -> float | None:
    """Seconds since the moment in it; None for a text of somebody else."""
    found = _STAMP.match(text)
    return None if found is None else time.perf_counter() - int(found[1]) / 1e6
