"""The gateway under measurement: started by its own command line, filled through its own REST routes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from bench.contest import GATEWAY, Options
from bench.loop import BenchError
from bench.machine import ROOT
from bench.rest import fetch, fetch_all, request
from bench.server import Server, free_port, running

GATEWAY_PROGRAM = (sys.executable, "-m", "gateway")

ENVIRONMENT = {
    "GATEWAY_LIMITS_SEND_MESSAGE_PER_S": "1000000",
    "GATEWAY_LIMITS_SEND_MESSAGE_BURST": "1000000",
    "GATEWAY_LIMITS_JOIN_ROOM_PER_S": "1000000",
    "GATEWAY_LIMITS_JOIN_ROOM_BURST": "1000000",
    "GATEWAY_LIMITS_SEARCH_PER_S": "1000000",
    "GATEWAY_LIMITS_SEARCH_BURST": "1000000",
    "GATEWAY_LIMITS_TYPING_PER_S": "1000000",
    "GATEWAY_LIMITS_TYPING_BURST": "1000000",
    "GATEWAY_LIMITS_ROOM_PARTICIPANTS": "20000",
    # A crowd that comes in at once would each hear of all the others: 10 000 sessions, 100 million events before the
    # measurement starts. With contacts only, those who share a small room hear of each other.
    "GATEWAY_PRESENCE_SCOPE": "contacts",
}
"""How the gateway differs from its defaults here. The limits are still checked, they are only never reached."""


def bare_environment() -> dict[str, str]:
    """This process's environment without settings of the gateway."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant in the data folder of a gateway."""

    folder: Path
    id: str
    api_key: str


class Platform:
    """A platform's backend: what it does with its API key to fill the gateway, by its first node."""

    def __init__(self, servers: Sequence[Server], api_key: str) -> None:
        self.servers = servers
        self.server = servers[0]
        self._headers = {"x-api-key": api_key}

    def create_rooms(self, rosters: Sequence[Sequence[str]]) -> list[str]:
        """A room for each roster, its users made with it; the ids."""
        bodies = [
            {"name": f"Room {number}", "participants": [{"id": user_id} for user_id in roster]}
            for number, roster in enumerate(rosters)
        ]
        return [room["id"] for room in self._post_all("/v1/chat/rooms", bodies)]

    def tokens(self, user_ids: Sequence[str]) -> list[str]:
        """A session token for each user, in order."""
        bodies = [{"userId": user_id, "expiresIn": 86_400} for user_id in user_ids]
        return [minted["token"] for minted in self._post_all("/v1/auth/token", bodies)]

    def token_request(self, user_id: str) -> bytes:
        """What asks for one more token, good for a day."""
        body = json.dumps({"userId": user_id, "expiresIn": 86_400}).encode()
        return request("POST", "/v1/auth/token", headers=self._headers, body=body)

    def change_settings(self, settings: Mapping[str, Any]) -> None:
        """Of the tenant."""
        body = json.dumps(settings).encode()
        fetch(self.server.port, request("PATCH", "/v1/tenant/settings", headers=self._headers, body=body))

    def _post_all(self, path: str, bodies: Sequence[Any]) -> list[Any]:
        requests = (
            request("POST", path, headers=self._headers, body=json.dumps(body).encode()) for body in bodies
        )
        return [json.loads(body) for body in fetch_all(self.server.port, list(requests))]


@contextlib.contextmanager
def platform(
    options: Options,
    *,
    nodes: int = 1,
    environment: Mapping[str, str] | None = None,
    tenant: Tenant | None = None,
) -> Iterator[Platform]:
    """A gateway, and a backend of one of its tenants.

    Args:
        nodes: how many gateways share its data folder.
        environment: further settings.
        tenant: whose; of a gateway with nothing in it unless there is one already.

    Raises:
        BenchError: it did not start.
    """
    environment = {**bare_environment(), **ENVIRONMENT, **(environment or {})}
    with contextlib.ExitStack() as stack:
        if options.workers > 1:
            environment |= stack.enter_context(_shared_services(options))
        tenant = tenant or new_tenant(options, environment)
        argv = [*GATEWAY_PROGRAM, "serve", "--host", "127.0.0.1", "--data", str(tenant.folder)]
        argv += ["--workers", str(options.workers)]
        servers = []
        for number in range(nodes):
            port = free_port()
            server = running(
                GATEWAY,
                [*argv, "--port", str(port)],
                port=port,
                cores=options.server_cores,
                log=tenant.folder / f"gateway-{number}.log",
                environment=environment,
                profiler=options.profiler,
            )
            servers.append(stack.enter_context(server))
        yield Platform(servers, tenant.api_key)


def new_tenant(options: Options, environment: Mapping[str, str] | None = None) -> Tenant:
    """The first tenant of a gateway that is not running yet, in a new data folder.

    Raises:
        BenchError: it was refused.
    """
    folder = Path(mkdtemp(prefix="gateway-", dir=options.scratch))
    made = subprocess.run(
        [*GATEWAY_PROGRAM, "tenant", "create", "bench", "--json", "--data", str(folder)],
        cwd=ROOT,
        env=environment or bare_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise BenchError(f"gateway tenant create failed: {made.stderr.strip()[-300:]}")
    tenant = json.loads(made.stdout)
    return Tenant(folder, tenant["id"], tenant["apiKey"])


@contextlib.contextmanager
def _shared_services(options: Options) -> Iterator[dict[str, str]]:
    """A Redis and a PostgreSQL for several processes, and the settings by which they find them."""
    from bench.postgresql import running_postgresql  # needs an extra that one process does without
    from bench.redis import running_redis

    with (
        running_redis(options) as redis,
        running_postgresql() as postgresql,
        postgresql.database() as url,
    ):
        yield {"GATEWAY_BUS": "redis", "GATEWAY_REDIS_URL": redis.url, "GATEWAY_DATABASE_URL": url}


def post_message(room_id: str, token: str, sender_id: str, number: int) -> bytes:
    """The request that sends message ``number``: 100 bytes of text, as the SDKs send it, its own id included."""
    body = (
        f'{{"senderId":"{sender_id}","clientMessageId":"00000000-0000-4000-8000-{number:012x}",'
        f'"parts":[{{"type":"text","text":"{TEXT}"}}]}}'
    )
    return (
        f"POST /v1/chat/rooms/{room_id}/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def message_number(payload: bytes) -> int:
    """Of the message in an event that carries it, which number it was made with."""
    at = payload.index(_NUMBERED) + len(_NUMBERED)
    return int(payload[at : at + 12], 16)


_NUMBERED = b'"clientMessageId":"00000000-0000-4000-8000-'

TEXT = "the quick brown fox jumps over the lazy dog, and 100 bytes are about what one person says to another"
