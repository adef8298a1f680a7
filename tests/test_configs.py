"""The files in ``configs`` that other programs read fit each other and the gateway."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from gateway.web.metrics import NAMESPACE, PARTS
from tests.support.livekit_server import VERSION as LIVEKIT

CONFIGS = Path(__file__).parent.parent / "configs"
OF_THE_PROCESS = {
    f"{NAMESPACE}_process_{name}"
    for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds")
}


def read(name: str) -> Any:
    return yaml.safe_load((CONFIGS / name).read_text())


def counted() -> set[str]:
    """The names under which Prometheus has what the gateway counts."""
    found = set(OF_THE_PROCESS)
    for part, what in PARTS.items():
        found |= {f"{NAMESPACE}_{part}_{key}" for key in what.now}
        for key in what.since_start:
            found.add(f"{NAMESPACE}_{part}_{re.sub('_s$', '_seconds', key)}_total")
    return found


def expressions(name: str) -> list[str]:
    if name == "alerts.yml":
        return [rule["expr"] for group in read(name)["groups"] for rule in group["rules"]]
    panels = json.loads((CONFIGS / name).read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


@pytest.mark.parametrize("name", ["alerts.yml", "grafana.json"])
def test_what_is_watched_is_counted(name: str) -> None:
    watched = set(re.findall(rf"\b{NAMESPACE}_\w+", " ".join(expressions(name))))
    assert len(watched) > 5
    assert watched <= counted()


def test_prometheus_loads_the_alerts_of_its_job() -> None:
    prometheus = read("prometheus.yml")
    assert all((CONFIGS / file).exists() for file in prometheus["rule_files"])
    (job,) = prometheus["scrape_configs"]
    assert f'up{{job="{job["job_name"]}"}} == 0' in expressions("alerts.yml")


class TestCompose:
    @pytest.fixture
    def services(self) -> dict[str, Any]:
        services: dict[str, Any] = read("compose.yaml")["services"]
        return services

    def test_what_a_service_waits_for_is_there_and_can_say_that_it_is_healthy(
        self, services: dict[str, Any]
    ) -> None:
        for service in services.values():
            for other in service.get("depends_on", ()):
                awaited = service["depends_on"]
                healthy = isinstance(awaited, dict) and awaited[other]["condition"] == "service_healthy"
                assert not healthy or "healthcheck" in services[other]
                assert other in services

    def test_what_is_mounted_is_there(self, services: dict[str, Any]) -> None:
        volumes = read("compose.yaml")["volumes"]
        for service in services.values():
            for mounted in service.get("volumes", ()):
                source = mounted.split(":")[0]
                assert (CONFIGS / source).exists() if source.startswith(".") else source in volumes

    def test_the_gateways_know_the_others_by_their_names_and_passwords(
        self, services: dict[str, Any]
    ) -> None:
        settings = services["gateway-1"]["environment"]
        database, postgresql = (
            urlsplit(settings["GATEWAY_DATABASE_URL"]),
            services["postgresql"]["environment"],
        )
        assert services.keys() >= {database.hostname, urlsplit(settings["GATEWAY_REDIS_URL"]).hostname}
        assert (database.username, database.password, database.path) == (
            postgresql["POSTGRES_USER"],
            postgresql["POSTGRES_PASSWORD"],
            f"/{postgresql['POSTGRES_DB']}",
        )
        media = yaml.safe_load(services["livekit"]["environment"]["LIVEKIT_CONFIG"])
        livekit = urlsplit(settings["LIVEKIT_URL"])
        assert livekit.hostname in services
        assert livekit.port == media["port"]
        assert f"{media['port']}:{media['port']}" in services["livekit"]["ports"]

    def test_clients_and_livekit_come_to_the_balancer(self, services: dict[str, Any]) -> None:
        balancer = services["haproxy"]
        port = int(balancer["environment"]["HAPROXY_BIND"].removeprefix(":"))
        assert f"{port}:{port}" in balancer["ports"]
        assert urlsplit(services["gateway-1"]["environment"]["GATEWAY_PUBLIC_URL"]).port == port
        media = yaml.safe_load(services["livekit"]["environment"]["LIVEKIT_CONFIG"])
        assert media["webhook"]["urls"] == [f"http://haproxy:{port}/v1/livekit/webhook"]

    def test_the_balancer_knows_both_gateways(self, services: dict[str, Any]) -> None:
        servers = re.findall(r'server \S+ "\$\{\w+-(\S+):3001\}"', (CONFIGS / "haproxy.cfg").read_text())
        assert sorted(set(servers)) == sorted(name for name in services if name.startswith("gateway-"))

    def test_its_livekit_is_the_one_that_calls_are_tested_with(self, services: dict[str, Any]) -> None:
        assert services["livekit"]["image"].split(":v")[1] == LIVEKIT.rpartition(".")[0]
