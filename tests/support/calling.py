"""A real gateway beside a real LiveKit, each knowing where the other is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.server import free_port
from tests.support.livekit_server import LiveKitServer, start_livekit
from tests.support.platform import Platform
from tests.support.process import Gateway


@dataclass(frozen=True)
class Calling:
    gateway: Gateway
    livekit: LiveKitServer
    platform: Platform


@contextmanager
def start_calling(data: Path) -> Iterator[Calling]:
    """Both, and the backend of one tenant."""
    port = free_port()  # LiveKit must know it before the gateway can start
    with start_livekit(webhooks_to=f"http://127.0.0.1:{port}/v1/livekit/webhook") as livekit:
        gateway = Gateway(data, settings={"livekit": livekit.settings})
        gateway.port = port
        gateway.start().wait_for_line("LiveKit is ready")
        platform = Platform(gateway.url, gateway.create_tenant().api_key)
        try:
            yield Calling(gateway, livekit, platform)
        finally:
            platform.close()
            gateway.stop()
