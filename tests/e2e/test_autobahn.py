"""Autobahn's fuzzing client against the WebSocket echo: the core cases, and those for compression.

Autobahn's own ``wstest`` runs on Python 2 alone; ``kosoku`` drives the same case files from Python 3.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

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
def test_no_case_fails(
    cases: list[str], count: int, arguments: list[str], acceptable: set[str], tmp_path: Path
) -> None:
    kosoku = Path(sys.executable).with_name("kosoku")
    if not kosoku.exists():
        missing("kosoku", get="pip install kosoku (it is in the extra `test`).")
    process = conformance(*arguments)
    try:
        url = process.wait_for_line(r"listening on http://(\S+)")[1]
        chosen = [word for case in cases for word in ("--include", case)]
        # By its command, not its API: its case files leave files open, which would be held against this process.
        subprocess.run(
            [kosoku, "--outdir", tmp_path, *chosen, f"ws://{url}/echo"],
            capture_output=True,
            timeout=120,
            check=False,
        )
    finally:
        process.kill()

    (results,) = json.loads((tmp_path / "index.json").read_text()).values()
    bad = {
        case: result
        for case, result in results.items()
        if not {result["behavior"], result["behaviorClose"]} <= acceptable
    }
    assert bad == {}
    assert len(results) == count, Counter(case.split(".")[0] for case in results)
