"""Logs: one line per event on stderr, for people or for machines; ids, never bodies, names or tokens."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from gateway.config import Log
from gateway.errors import Unavailable


def configure_logging(log: Log) -> None:
    """Set up structlog, and give the libraries' own ``logging`` the same form and the same stream.

    Called once, before anything logs. Libraries are heard from WARNING on: below it they tell of single
    requests.
    """
    level = logging.getLevelNamesMapping()[log.level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _outage_in_a_line,
    ]
    render = _for_machines() if log.format == "json" else _for_people()
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    # It logs, with the way it took, what it raises as well: an outage, of which the bus tells in a line.
    logging.getLogger("coredis").setLevel(logging.CRITICAL)


def _outage_in_a_line(_: Any, __: str, entry: EventDict) -> EventDict:
    """What is unavailable is no bug, and comes up wherever it is used until it is back: say why, without the way."""
    given = entry.get("exc_info")
    error = given if isinstance(given, BaseException) else sys.exc_info()[1] if given else None
    if isinstance(error, Unavailable):
        del entry["exc_info"]
        cause = "" if error.__cause__ is None else f" {' '.join(str(error.__cause__).split())}"
        entry.update(level="warning", error=f"{error.message}{cause}")
    return entry


# Both are told to leave local variables out of tracebacks, where by default they show them: those are
# bodies and tokens.


def _for_machines() -> list[Processor]:
    traceback = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [structlog.processors.ExceptionRenderer(traceback), structlog.processors.JSONRenderer()]


def _for_people() -> list[Processor]:
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
