"""``/metrics``: what Prometheus reads of a node, and who may read it."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.api.answers import failure
from gateway.web.metrics import Metrics
from gateway.wire.http import Request, Response

TOKEN = "a token for Prometheus"


@pytest.fixture
def metrics() -> Metrics:
    said = {"store": {"writes": 7, "commit_s": 0.5, "writes_waiting": 2}, "livekit": {}}
    return Metrics(lambda: said, node_id="n1", token=TOKEN, failure=failure)


async def ask(metrics: Metrics, authorization: str | None = f"Bearer {TOKEN}") -> Response:
    headers = {} if authorization is None else {"authorization": authorization}
    return await metrics.handle(Request("GET", "/metrics", headers=headers))


async def test_what_grows_is_a_counter_and_what_goes_up_and_down_a_gauge(metrics: Metrics) -> None:
    answer = await ask(metrics)

    found = {
        sample.name: (family.type, sample.labels, sample.value)
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
        if sample.name.startswith("gateway_store")
    }
    assert found == {
        "gateway_store_writes_total": ("counter", {"node": "n1"}, 7),
        "gateway_store_commit_seconds_total": ("counter", {"node": "n1"}, 0.5),
        "gateway_store_writes_waiting": ("gauge", {"node": "n1"}, 2),
    }
    assert b"gateway_process_resident_memory_bytes" in answer.body
    assert answer.content_type.startswith("text/plain; version=")


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer x", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer ä"]
)
async def test_without_the_token_there_is_nothing_to_read(
    metrics: Metrics, authorization: str | None
) -> None:
    answer = await ask(metrics, authorization)
    assert answer.status == 401
    assert ("WWW-Authenticate", "Bearer") in answer.headers
    assert b"gateway_" not in answer.body
