"""What several packages' tests share: servers, started when the first test asks for them, and patience."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from gateway.net.native import Native
from tests.support.compiled import build
from tests.support.postgresql import Server, running_server

# How long an example takes is the machine's affair.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What ``-n auto`` is: more than there are cores, as many a test waits for another process, or for time to pass."""
    return min((os.cpu_count() or 1) + 1, 8)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL to make databases in; who stops it starts it again, as others use it too."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Native:
    """The loops over a crowd in C."""
    return build(tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="session")
def native(request: pytest.FixtureRequest) -> Native | None:
    """None, for Python's; the compiled ones where ``BOTH`` says so."""
    return request.getfixturevalue("compiled") if getattr(request, "param", False) else None
