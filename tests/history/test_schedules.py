"""The promise on real nodes, whatever fails beneath them: nothing acknowledged is lost, doubled or reordered.

More of the same: ``python -m tests.history --schedules 1000``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.history.checker import check
from tests.history.cluster import Cluster, running_cluster
from tests.history.records import MESSAGE
from tests.history.schedule import REDIS, Fault, Plan, plan
from tests.history.talk import talk
from tests.support.node import node_modules

SCHEDULES = 30
BACK_S = 3.0
"""How long an event of another node may take while Redis has lost everything, and after that."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    node_modules()  # one of the people is on it; said here, since a skip among tasks loses its sentence
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.mark.parametrize("seed", range(SCHEDULES))
async def test_every_history_keeps_the_promise(cluster: Cluster, seed: int) -> None:
    schedule = plan(seed)

    violations = check(await talk(cluster, schedule))

    assert not violations, "\n".join(map(str, [schedule, *violations[:20]]))


async def test_sends_go_on_while_redis_is_wiped_and_other_nodes_hear_of_them_within_seconds(
    cluster: Cluster,
) -> None:
    wiped = Plan(
        1,
        (
            Fault(0.3, REDIS, "flush", 0.0, 0),
            Fault(0.4, REDIS, "cut", 0.0, 0),
            Fault(0.5, REDIS, "restart", 0.5, 0),
        ),
    )

    history = await talk(cluster, wiped)

    assert not check(history)
    ended = {message_id: send.ended for send in history.sends for message_id in send.ids}
    late_s = max(
        told.at - ended[told.id]
        for visit in history.visits
        for told in visit.told
        if told.event == MESSAGE and told.id in ended
    )
    slowest_s = max(send.ended - send.began for send in history.sends)
    assert late_s < BACK_S
    assert slowest_s < 1.0
    assert len(history.sends) > 50
