"""The compiled loops of the working tree, whatever is installed: built anew for a run of the tests."""

from __future__ import annotations

import importlib.util
import os
import resource
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.delivery.outbox import Outbox
from gateway.delivery.session import Session
from gateway.net.multiplexer import Multiplexed
from gateway.net.native import Native
from gateway.wire.prepared import Prepared
from tests.support.process import ROOT
from tests.support.require import missing

BOTH = pytest.mark.parametrize("native", [False, True], ids=["python", "compiled"], indirect=True)
"""Run with the loops in Python and with the compiled ones, which is what the fixture ``native`` then is: None or they."""


def has_compiler() -> bool:
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    header = Path(sysconfig.get_path("include")) / "Python.h"
    return shutil.which(compiler) is not None and header.is_file()


def build(folder: Path) -> Native:
    """Build with warnings as errors, and bind to our classes."""
    if not has_compiler():
        missing("A C compiler or Python.h", get="Install gcc and python3-dev.")
    flags = (
        "-Wall -Wextra -Werror -Wno-cast-function-type -Wno-missing-field-initializers -Wno-unused-parameter"
    )
    arguments = ["build_ext", "--build-lib", str(folder), "--build-temp", str(folder / "objects")]
    done = subprocess.run(
        [sys.executable, "-c", "from setuptools import setup; setup()", *arguments],
        cwd=ROOT,
        env={**os.environ, "CFLAGS": flags},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    (library,) = folder.glob("gateway/net/_native.*.so") or [None]
    assert library is not None, done.stderr
    specification = importlib.util.spec_from_file_location("gateway.net._native", library)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return bound(module.Native)


def bound(native: Callable[..., Native]) -> Native:
    return native(session=Session, outbox=Outbox, prepared=Prepared, link=Multiplexed)


def bound_anew(native: Native) -> Native:
    """Another of the same."""
    return bound(type(native))


def without_descriptors(native: Native) -> Native:
    """Another, made while the process may open nothing more, as it may open no ring in most containers."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        return bound_anew(native)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
