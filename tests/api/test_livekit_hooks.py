"""LiveKit's webhook over HTTP: its signature is the only credential there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gateway.api.routes import Api
from tests.api.conftest import Client, Gateway, open_gateway
from tests.signaling.livekit.world import SETTINGS
from tests.support.livekit_fake import SECRET, signed

PATH = "/livekit/webhook"
BODY = b'{"event": "participant_left", "room": {"name": "fc_1"}}'


def authorization(secret: str = SECRET) -> dict[str, str]:
    return {"authorization": signed("", "", "", BODY, key=SETTINGS.api_key, secret=secret).authorization}


async def test_a_signed_webhook_is_taken(gateway: Gateway) -> None:
    answer = await gateway.nobody.post(PATH, BODY, headers=authorization())
    assert (answer.status, answer.json) == (200, {"taken": True})
    assert gateway.looked == ["fc_1"]


async def test_one_with_another_signature_is_refused(gateway: Gateway) -> None:
    answer = await gateway.nobody.post(PATH, BODY, headers=authorization("x" * 32))
    assert answer.status == 401
    assert gateway.looked == []


async def test_the_api_key_is_no_signature(gateway: Gateway) -> None:
    assert (await gateway.server.post(PATH, BODY)).status == 401
    assert gateway.looked == []


async def test_without_livekit_there_is_nobody_to_believe(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        api = Api(replace(gateway.services, livekit_hooks=None))
        answer = await Client(api).post(PATH, BODY, headers=authorization())
    assert (answer.status, answer.json["code"]) == (503, "calls_unavailable")
