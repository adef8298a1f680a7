"""What ``pip install .`` brings is all that the gateway needs, unless a setting asks for more; a compiler is no need."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.compiled import has_compiler
from tests.support.process import ROOT
from tests.support.require import missing

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def brought_by(requirements: list[str]) -> set[str]:
    """The distributions that these install, and those that they need in turn."""
    found: set[str] = set()
    waiting = [(Requirement(one), "") for one in requirements]
    while waiting:
        wanted, extra = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name in found or (wanted.marker is not None and not wanted.marker.evaluate({"extra": extra})):
            continue
        found.add(name)
        waiting += [
            (Requirement(one), extra)
            for one in distribution(name).requires or []
            for extra in wanted.extras or {""}
        ]
    return found


def test_the_gateway_is_there_without_any_extra() -> None:
    core = brought_by(PROJECT["dependencies"])
    ours = {"gateway", "signaling"}
    others = {
        module
        for module, owners in packages_distributions().items()
        if module not in ours and not core & {canonicalize_name(owner) for owner in owners}
    }
    assert "pytest" in others
    without = "import sys; sys.modules.update(dict.fromkeys(sys.argv[1:])); import gateway.serving, gateway.__main__"
    done = subprocess.run(
        [sys.executable, "-c", without, *others],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def wheel(folder: Path, **environment: str) -> set[str]:
    """Build a wheel of the working tree, as ``pip install .`` does; the names of what is in it."""
    shutil.copytree(
        ROOT,
        folder / "source",
        ignore=lambda path, names: (
            {name for name in names if Path(path) == ROOT and name not in SOURCE}
            | {name for name in names if name == "__pycache__" or name.endswith(".so")}
        ),
    )
    argv = [
        *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder)),
        ".",
    ]
    done = subprocess.run(
        argv,
        cwd=folder / "source",
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = folder.glob("*.whl")
    return set(zipfile.ZipFile(made).namelist())


SOURCE = {"gateway", "signaling", "pyproject.toml", "README.md"}


def compiled(names: set[str]) -> set[str]:
    return {name for name in names if name.endswith((".so", ".pyd"))}


def test_the_parts_in_c_are_in_the_wheel_where_there_is_a_compiler(tmp_path: Path) -> None:
    if not has_compiler():
        missing("A C compiler or Python.h", get="Install gcc and python3-dev.")
    parts = {name.partition(".")[0] for name in compiled(wheel(tmp_path))}
    assert parts == {"gateway/net/_native", "gateway/store/sqlite/_gather"}


@pytest.mark.parametrize("compiler", ["/bin/false", "no-such-compiler"])
def test_the_wheel_is_made_without_a_compiler_too(tmp_path: Path, compiler: str) -> None:
    names = wheel(tmp_path, CC=compiler)
    assert compiled(names) == set()
    assert "gateway/net/native.py" in names
