"""Servers that several packages' tests share, started when the first test asks for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.postgresql import Server, running_server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL to make databases in; who stops it starts it again, as others use it too."""
    with running_server() as server:
        yield server
