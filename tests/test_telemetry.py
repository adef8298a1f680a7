"""What logs look like and what never gets into them; in a process of its own, since logging is one per
process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import logging, structlog
from gateway.config import Log
from gateway.telemetry import configure_logging

configure_logging(Log(format={format!r}, level={level!r}))
log = structlog.get_logger("gateway")
log.debug("quiet")
log.info("told", room_id="r1")
logging.getLogger("library").info("one request")
logging.getLogger("coredis").error("an outage that it raises as well")
logging.getLogger("library").warning("from a %s", "library")

def fail(token):
    raise RuntimeError("broken")

try:
    fail("s3cret")
except RuntimeError:
    log.exception("ended", user_id="u1")
    logging.getLogger("library").exception("too")
"""

OUTAGE = """
import structlog
from gateway.config import Log
from gateway.errors import Unavailable
from gateway.telemetry import configure_logging

configure_logging(Log(format={format!r}))
try:
    try:
        raise OSError("no route\\nto host")
    except OSError as error:
        raise Unavailable("The store cannot be reached.") from error
except Unavailable:
    structlog.get_logger("gateway").exception("not told", user_id="u1")
"""


def logged(*, format: str, level: str = "info", program: str = PROGRAM) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program.format(format=format, level=level)],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == ""
    return done.stderr


def test_json_is_one_object_a_line_whoever_logs() -> None:
    entries = [json.loads(line) for line in logged(format="json").splitlines()]
    assert [entry["event"] for entry in entries] == ["told", "from a library", "ended", "too"]
    assert {"level", "timestamp"} <= set.intersection(*(set(entry) for entry in entries))
    assert entries[0]["room_id"] == "r1"
    assert [entry["exception"][0]["exc_type"] for entry in entries[2:]] == ["RuntimeError"] * 2


def test_the_console_form_is_plain_text_on_a_pipe() -> None:
    text = logged(format="console")
    assert "room_id=r1" in text
    assert text.count("RuntimeError: broken") == 2
    assert "\x1b" not in text


def test_the_level_is_the_one_configured() -> None:
    assert "quiet" in logged(format="json", level="debug")
    assert "told" not in logged(format="json", level="error")


@pytest.mark.parametrize("format", ["json", "console"])
def test_what_is_unavailable_is_a_warning_of_one_line_that_says_why(format: str) -> None:
    (line,) = logged(format=format, program=OUTAGE).splitlines()

    assert "warning" in line
    assert "The store cannot be reached. no route to host" in line
    assert "u1" in line


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_traceback_does_not_carry_what_was_in_variables(format: str) -> None:
    assert "ended" in logged(format=format)
    assert "s3cret" not in logged(format=format)
