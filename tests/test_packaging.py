"""What ``pip install .`` brings is all that the gateway needs, unless a setting asks for more."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.process import ROOT

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
