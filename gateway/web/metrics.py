"""``/metrics``: what every part of the node counts, for Prometheus.

Behind a token, since it stands on the public port: how many people are here is nobody else's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hmac import compare_digest
from typing import Final, NamedTuple, TypeAlias

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    UnknownMetricFamily,
)

from gateway.errors import GatewayError, NotFound, Unauthorized
from gateway.wire.http import Request, Response

PATH: Final = "/metrics"
NAMESPACE: Final = "gateway"

Statistics: TypeAlias = Callable[[], Mapping[str, Mapping[str, float]]]


class Part(NamedTuple):
    """What a part of the node says of itself.

    Attributes:
        meaning: a sentence.
        now: what goes up and down.
        since_start: what only grows, and begins at 0 with the process.
    """

    meaning: str
    now: tuple[str, ...] = ()
    since_start: tuple[str, ...] = ()


PARTS: Final[Mapping[str, Part]] = {
    "bus": Part(
        "The bus between nodes; unknown, forged, replayed and stale messages are ignored.",
        now=("waiting", "channels", "attached"),
        since_start=(
            *("published", "dropped", "batches", "received", "attachments", "failed"),
            *("unknown", "forged", "replayed", "stale"),
        ),
    ),
    "door": Part("Connections that are not multiplexed WebSockets.", now=("connections", "idle")),
    "following": Part(
        "The order of durable events; healed ones were read from the store.",
        now=("tenants", "waiting"),
        since_start=("early", "late", "refused", "swept", "healed"),
    ),
    "hub": Part("Signed-in clients on this node.", now=("sessions", "users", "rooms_open")),
    "livekit": Part(
        "Errands to the media server.", now=("waiting",), since_start=("done", "failed", "dropped")
    ),
    "multiplexer": Part(
        "Plain WebSockets; marked ones wait to be written; native is 1 where the parts in C do that.",
        now=("links", "marked", "native"),
    ),
    "peers": Part(
        "The nodes, this one included, and their signals.", now=("nodes",), since_start=("said", "missed")
    ),
    "presence": Part("Users online on any node, and those about to be offline.", now=("online", "grace")),
    "recovery": Part(
        "Clients that came back, the events they got, and why others began anew.",
        since_start=("returned", "replayed", "unknown", "behind", "roomless", "too_much"),
    ),
    "relay": Part("Requests passed on to the node that has their session.", since_start=("relayed",)),
    "sessions": Part("Engine.IO sessions of this node.", now=("sessions",)),
    "store": Part(
        "The database; a commit is a group of writes, and commit_s the seconds that all took.",
        now=("writes_waiting", "reads_waiting", "writes_per_commit"),
        since_start=("writes", "commits", "commit_s", "rollbacks", "checkpoints"),
    ),
    "workers": Part("Tasks for events that wait, and clients waiting for one.", now=("workers", "waiting")),
}


class _Collector:
    """Asks the parts at each scrape; between scrapes it costs nothing."""

    def __init__(self, statistics: Statistics, node_id: str) -> None:
        self._statistics = statistics
        self._node_id = node_id

    def collect(self) -> Iterator[Metric]:
        for name, said in self._statistics().items():
            part = PARTS.get(name, Part(""))
            for key, value in said.items():
                metric = _family(part, key)(
                    f"{NAMESPACE}_{name}_{_named(key)}", part.meaning, labels=["node"]
                )
                metric.add_metric([self._node_id], value)
                yield metric


def _family(part: Part, key: str) -> type[GaugeMetricFamily | CounterMetricFamily | UnknownMetricFamily]:
    if key in part.now:
        return GaugeMetricFamily
    return CounterMetricFamily if key in part.since_start else UnknownMetricFamily


def _named(key: str) -> str:
    """With the unit as Prometheus writes it."""
    return f"{key.removesuffix('_s')}_seconds" if key.endswith("_s") else key


class Metrics:
    """The endpoint.

    Args:
        node_id: in every sample: of several workers behind one port each scrape meets another.
        failure: the answer to an error, as REST gives it.
    """

    def __init__(
        self,
        statistics: Statistics,
        *,
        node_id: str,
        token: str,
        failure: Callable[[GatewayError], Response],
    ) -> None:
        self._token = token.encode()
        self._failure = failure
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Collector(statistics, node_id))
        ProcessCollector(namespace=NAMESPACE, registry=self._registry)

    def open(self, request: Request) -> Response:
        return self._failure(NotFound("There is no WebSocket at this address."))

    async def handle(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not compare_digest(token.strip().encode(), self._token):
            return self._failure(Unauthorized("Unauthorized: send metrics_token as a Bearer token."))
        return Response(200, generate_latest(self._registry), content_type=CONTENT_TYPE_LATEST)
