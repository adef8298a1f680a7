"""``/metrics`` of the real process, over HTTP/1.1 and HTTP/2, alone and as one of several nodes."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import end
from tests.support.postgresql import Server
from tests.support.process import Gateway
from tests.support.redis_server import RedisServer, running
from tests.support.secured import Secured

TOKEN = "a-token-for-prometheus"
AUTHORIZATION = {"Authorization": f"Bearer {TOKEN}"}


def read(answer: httpx2.Response) -> dict[str, Metric]:
    """The figures by name, all of a kind that is known."""
    assert answer.status_code == 200
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert not [name for name, family in families.items() if family.type == "unknown"]
    return families


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_who_has_the_token_reads_what_is_counted(tmp_path: Path, http2: bool) -> None:
    secured = Secured(tmp_path, metrics_token=TOKEN)
    secured.platform.person("ann")
    with httpx2.Client(
        base_url=secured.gateway.url, http2=http2, verify=secured.trust(), trust_env=False
    ) as prometheus:
        assert prometheus.get("/metrics").status_code == 401
        families = read(prometheus.get("/metrics", headers=AUTHORIZATION))
    secured.platform.close()
    end(secured.gateway)

    assert families["gateway_store_writes"].samples[0].value > 0


def test_one_of_several_nodes_has_more_to_tell(tmp_path: Path, postgresql: Server) -> None:
    redis = RedisServer(tmp_path)
    with running(redis), postgresql.bare_database() as url:
        settings = {
            "bus": "redis",
            "redis": {"url": redis.url},
            "database_url": url,
            "metrics_token": TOKEN,
        }
        gateway = Gateway(tmp_path / "data", settings=settings)
        gateway.start()
        families = read(httpx2.get(f"{gateway.url}/metrics", headers=AUTHORIZATION, trust_env=False))
        end(gateway)

    assert families["gateway_bus_attached"].samples[0].value == 1
    assert families["gateway_store_reads_waiting"].samples[0].value == 0
    assert len(families["gateway_peers_nodes"].samples[0].labels["node"]) == 16


def test_there_is_nothing_unless_a_token_is_set(gateway: Gateway) -> None:
    assert httpx2.get(f"{gateway.url}/metrics", trust_env=False).status_code == 404
