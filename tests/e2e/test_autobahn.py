"""Autobahn's fuzzing client against the WebSocket echo: the core cases, and those for compression.

Autobahn's own ``wstest`` runs on Python 2 alone; ``kosoku`` drives the same case files from Python 3.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.e2e.conftest import conformance
from tests.support.require import missing

CORE = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*"]
# Each group repeats one exchange with ever larger messages; all 216 cases take six minutes.
COMPRESSION = [
    f"{group}.{size}"
    for group in [*(f"12.{number}" for number in range(1, 6)), *(f"13.{number}" for number in range(1, 8))]
    for size in (1, 2, 3, 4, 11)
]
# NON-STRICT is for an invalid byte of UTF-8 that is noticed at the end of its frame and not at once, INFORMATIONAL for
# what the RFC leaves open, UNIMPLEMENTED for compression with a window that the server declines, as it may.
ACCEPTABLE = {"OK", "NON-STRICT", "INFORMATIONAL"}
DECLINED = {"UNIMPLEMENTED"}


@pytest.mark.parametrize(
    ("cases", "count", "arguments", "acceptable"),
    [
        pytest.param(CORE, 301, [], ACCEPTABLE, id="core"),
        pytest.param(COMPRESSION, 60, ["--deflate"], ACCEPTABLE | DECLINED, id="compression"),
    ],
)
def test_no_case_fails(cases: list[str], count: int, arguments: list[str], acceptable: set[str]) -> None:
    try:
        import kosoku
    except ImportError:
        missing("kosoku", get="pip install kosoku (it is in the extra `test`).")
    process = conformance(*arguments)
    url = process.wait_for_line(r"listening on http://(\S+)")[1]
    try:
        results = asyncio.run(kosoku.run_fuzzingclient(f"ws://{url}/echo", cases))
    except kosoku.FailureError as failure:
        results = failure.results
    finally:
        process.kill()

    bad = [
        (result.case_id, result.behavior.value, result.behavior_close.value, result.result_close)
        for result in results
        if not {result.behavior.value, result.behavior_close.value} <= acceptable
    ]
    assert bad == []
    assert len(results) == count, Counter(result.case_id.split(".")[0] for result in results)
