"""Only LiveKit is listened to, and only where somebody has moved."""

from __future__ import annotations

import pytest

from signaling.livekit.hooks import Hooks
from tests.signaling.livekit.world import SETTINGS
from tests.support.livekit_fake import KEY, SECRET, Webhook, signed

BODY = b'{"event": "participant_left", "room": {"name": "fc_1"}, "id": "EV_1", "a field of tomorrow": 1}'


class Ear:
    def __init__(self) -> None:
        self.rooms: list[str] = []
        self.hooks = Hooks(SETTINGS, look_soon=self.rooms.append)


def made(body: bytes = BODY, *, key: str = KEY, secret: str = SECRET) -> Webhook:
    return signed("", "", "", body, key=key, secret=secret)


def test_a_signed_webhook_says_where_to_look() -> None:
    ear, webhook = Ear(), made()
    assert ear.hooks.receive(webhook.body, webhook.authorization)
    assert ear.rooms == ["fc_1"]


def test_tracks_and_other_things_are_no_reason_to_look() -> None:
    ear, webhook = Ear(), made(BODY.replace(b"participant_left", b"track_published"))
    assert ear.hooks.receive(webhook.body, webhook.authorization)
    assert ear.rooms == []


def test_an_event_of_a_later_livekit_is_no_error() -> None:
    ear, webhook = Ear(), made(b'{"event": "room_moved_to_the_moon"}')
    assert ear.hooks.receive(webhook.body, webhook.authorization)
    assert ear.rooms == []


@pytest.mark.parametrize(
    ("body", "authorization"),
    [
        pytest.param(BODY, "", id="unsigned"),
        pytest.param(BODY, "no token", id="garbage"),
        pytest.param(BODY, made(secret="x" * 32).authorization, id="another secret"),
        pytest.param(BODY, made(key="another key").authorization, id="another key"),
        pytest.param(BODY + b" ", made().authorization, id="another body"),
        pytest.param(b"\xff", made(b"\xff").authorization, id="not text"),
        pytest.param(b"[", made(b"[").authorization, id="not JSON"),
        pytest.param(b'{"event": 3}', made(b'{"event": 3}').authorization, id="not a webhook"),
    ],
)
def test_anything_else_is_refused_and_does_nothing(body: bytes, authorization: str) -> None:
    ear = Ear()
    assert not ear.hooks.receive(body, authorization)
    assert ear.rooms == []


def test_a_users_own_token_signs_no_webhook() -> None:
    from signaling.livekit.tokens import Tokens

    ear = Ear()
    token = Tokens(SETTINGS).join("fc_1", "ann", username=None, video=True).token
    assert not ear.hooks.receive(BODY, token)
