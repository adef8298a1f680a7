"""What a token lets its owner do, and nothing more."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

import jwt
import pytest

from signaling.livekit.settings import LiveKitSettings
from signaling.livekit.tokens import Tokens
from tests.signaling.livekit.world import SETTINGS
from tests.support.livekit_fake import KEY, SECRET


def claims(token: str) -> dict[str, object]:
    decoded: dict[str, object] = jwt.decode(token, SECRET, algorithms=["HS256"], issuer=KEY)
    return decoded


def joining(*, video: bool = True, username: str | None = "Ann") -> dict[str, object]:
    return claims(Tokens(SETTINGS).join("fc_t_r_c", "ann", username=username, video=video).token)


def grants(token_claims: dict[str, object]) -> dict[str, object]:
    video = token_claims["video"]
    assert isinstance(video, dict)
    return video


class TestOfAUser:
    def test_it_names_the_user_by_the_plain_id_that_clients_look_for(self) -> None:
        assert joining()["sub"] == "ann"
        assert joining()["name"] == "Ann"

    def test_a_user_without_a_name_has_none(self) -> None:
        assert "name" not in joining(username=None)

    def test_an_audio_call_allows_the_microphone_alone(self) -> None:
        assert grants(joining(video=False)) == {
            "roomJoin": True,
            "room": "fc_t_r_c",
            "canPublish": True,
            "canSubscribe": True,
            "canPublishData": False,
            "canPublishSources": ["microphone"],
        }

    def test_a_video_call_allows_camera_and_screen_too_and_nothing_else_more(self) -> None:
        audio, video = grants(joining(video=False)), grants(joining(video=True))
        assert video.pop("canPublishSources") == [
            "microphone",
            "camera",
            "screen_share",
            "screen_share_audio",
        ]
        audio.pop("canPublishSources")
        assert video == audio

    def test_it_says_when_it_expires_more_than_five_minutes_from_now(self) -> None:
        access = Tokens(SETTINGS).join("fc_t_r_c", "ann", username=None, video=True)
        told = datetime.fromisoformat(access.expires_at).timestamp()
        expires = claims(access.token)["exp"]
        assert isinstance(expires, int)
        assert abs(told - expires) <= 1
        assert 300 < told - time.time() <= 601


class TestOfARequest:
    @pytest.mark.parametrize("ask", [Tokens.create, Tokens.list, lambda tokens: tokens.admin("r")])
    def test_it_lets_nobody_into_a_room(self, ask: Callable[[Tokens], str]) -> None:
        granted = grants(claims(ask(Tokens(SETTINGS))))
        assert not any(
            granted.get(one) for one in ("roomJoin", "canPublish", "canSubscribe", "canPublishData")
        )

    def test_each_grants_one_thing(self) -> None:
        tokens = Tokens(SETTINGS)

        def granted(token: str) -> dict[str, object]:
            return {name: value for name, value in grants(claims(token)).items() if value}

        assert granted(tokens.create()) == {"roomCreate": True}
        assert granted(tokens.list()) == {"roomList": True}
        assert granted(tokens.admin("r")) == {"roomAdmin": True, "room": "r"}


class TestAddresses:
    @pytest.mark.parametrize(
        ("given", "asked"),
        [
            ("http://livekit:7880", "http://livekit:7880"),
            ("ws://livekit:7880/", "http://livekit:7880"),
            ("WSS://media.example.org", "https://media.example.org"),
            ("https://example.org/media/", "https://example.org/media"),
        ],
    )
    def test_livekit_is_asked_over_http(self, given: str, asked: str) -> None:
        settings = LiveKitSettings(url=given, public_url=given, api_key=KEY, api_secret=SECRET)
        assert settings.http_url == asked

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ("http://192.0.2.1:7880", "ws://192.0.2.1:7880"),
            ("https://media.example.org/", "wss://media.example.org"),
            ("wss://media.example.org", "wss://media.example.org"),
        ],
    )
    def test_clients_are_told_a_websocket_address(self, given: str, told: str) -> None:
        settings = LiveKitSettings(
            url="http://livekit:7880", public_url=given, api_key=KEY, api_secret=SECRET
        )
        assert Tokens(settings).join("r", "ann", username=None, video=True).url == told

    def test_the_secret_is_in_no_repr(self) -> None:
        assert SECRET not in repr(SETTINGS)
