"""From one version to the next and back, node by node, while people write: neither is noticed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.e2e.conftest import end
from tests.support.cluster import Cluster, running_cluster
from tests.support.crowd import Crowd, Traffic
from tests.support.devices import POLLING, UPGRADE, WEBSOCKET
from tests.support.node import NodeClients
from tests.support.process import Program
from tests.support.sio import PythonClients
from tests.support.versions import Upgrade, upgrades

DRAIN_S = 2.0


def replace(cluster: Cluster, program: Program, *crowds: Crowd) -> None:
    """All nodes by this program, one after the other; no client must move twice for one of them."""
    for gateway in cluster.gateways:
        before = [crowd.connections() for crowd in crowds]
        end(gateway)
        time.sleep(1.0)  # the slowest client waits half a second before it comes back
        for crowd, earlier in zip(crowds, before, strict=True):
            costs = [now - then for now, then in zip(crowd.connections(), earlier, strict=True)]
            assert max(costs) <= 1, costs
        gateway.program = program
        gateway.start()


@pytest.mark.parametrize("upgrade", upgrades(), ids=str)
def test_nodes_replaced_one_by_one_by_the_next_version_and_back(
    upgrade: Upgrade, tmp_path: Path, node_clients: NodeClients, python_clients: PythonClients
) -> None:
    (tmp_path / "other").mkdir()
    today, tomorrow = upgrade.programs(tmp_path / "other")
    with running_cluster(tmp_path, gateways=2, program=today, drain_s=DRAIN_S) as cluster:
        platform = cluster.platform
        people = [platform.person(f"p{number}") for number in range(10)]
        room = platform.room(*people)
        of_node = Crowd(node_clients, people[:6], [WEBSOCKET, POLLING, UPGRADE])
        of_python = Crowd(python_clients, people[6:], [WEBSOCKET])

        with Traffic(people[0], room.id) as one, Traffic(people[6], room.id) as other:
            cluster.gateways[0].program = tomorrow
            assert "applied" in cluster.gateways[0].migrate()
            replace(cluster, tomorrow, of_node, of_python)
            replace(cluster, today, of_node, of_python)

        last = people[0].send(room.id, "the last")
        history = [message.id for message in people[0].history(room.id)]
        assert one.failures + other.failures == []
        assert sorted(history) == sorted([*one.sent, *other.sent, last.id])
        of_node.require_all_of(history, room.id)
        of_python.require_all_while_connected(history, room.id)
        for crowd in (of_node, of_python):
            crowd.require_nobody_was_offline()
            crowd.close()
        for gateway in cluster.gateways:
            end(gateway)
