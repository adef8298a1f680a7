"""Times as they are shown."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.records import iso


@given(ms=st.integers(min_value=0, max_value=253_402_300_799_999))
@example(ms=1_767_225_599_999)
@example(ms=1_767_225_600_000)
def test_a_time_is_shown_to_the_millisecond_in_utc(ms: int) -> None:
    shown = datetime.fromtimestamp(ms // 1_000, UTC).replace(microsecond=ms % 1_000 * 1_000)
    assert iso(ms) == shown.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.mark.parametrize("ms", range(1_767_225_600_000, 1_767_225_660_000, 999))
def test_no_millisecond_of_a_minute_is_rounded_to_another(ms: int) -> None:
    assert iso(ms).endswith(f":{ms % 60_000 // 1_000:02d}.{ms % 1_000:03d}Z")
