"""The checker on a running gateway: a fault that is put into it shows in the history, and nothing shows without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from tests.history import planted
from tests.history.checker import Kind, check
from tests.history.cluster import Cluster, running_cluster
from tests.history.schedule import LINES, Fault, Plan
from tests.history.talk import talk
from tests.support.process import Program

CALM = Plan(1, ())
CUT = Plan(1, tuple(Fault(at_s, LINES, "cut", 0.2, 1.0) for at_s in (0.3, 0.8, 1.3)))


@pytest.fixture(scope="module")
def fault(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that says which fault the gateways have."""
    file = tmp_path_factory.mktemp("fault") / "fault"
    file.write_text("")
    return file


@pytest.fixture(scope="module")
def cluster(fault: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    program = Program(("-m", "tests.history.planted", str(fault)))
    with running_cluster(tmp_path_factory.mktemp("cluster"), nodes=2, program=program) as cluster:
        yield cluster


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param("", None, id="none"),
        pytest.param(
            planted.TWICE, Kind.DOUBLED, id="whatever comes is delivered, and the bus brings it twice"
        ),
        pytest.param(planted.SWAPPED, Kind.REORDERED, id="one event is delivered behind the next"),
        pytest.param(planted.OPEN, Kind.OVERHEARD, id="everybody is told everything"),
        pytest.param(planted.FORGETFUL, Kind.UNSTORED, id="an answer names a message that is not there"),
        pytest.param(planted.LOSSY, Kind.LOST, id="the bus loses events, and nobody looks into the log"),
    ],
)
async def test_a_fault_in_the_gateway_is_found(
    cluster: Cluster, fault: Path, name: str, kind: Kind | None
) -> None:
    await require(kind, cluster, fault, name, CALM)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param("", None, id="none"),
        pytest.param(planted.SKIPPING, Kind.LOST, id="who comes back gets all that he missed but the first"),
        pytest.param(planted.REPEATING, Kind.DOUBLED, id="who comes back gets the last that he missed twice"),
    ],
)
async def test_a_fault_in_what_clients_that_come_back_get_is_found(
    cluster: Cluster, fault: Path, name: str, kind: Kind | None
) -> None:
    await require(kind, cluster, fault, name, CUT)


async def require(kind: Kind | None, cluster: Cluster, fault: Path, name: str, plan: Plan) -> None:
    """See that a violation of this kind is in the history of gateways with this fault (and others that follow from it), or
    none at all."""
    await trio.Path(fault).write_text(name)
    history = await talk(cluster, plan, node=False, healed_s=3.0)
    found = check(history)
    assert kind in {violation.kind for violation in found} if kind is not None else not found, found[:20]
