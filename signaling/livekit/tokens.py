"""Tokens that LiveKit believes: for a user, the least that a call needs; for us, the least that one request needs.

LiveKit checks a token when somebody connects and not again: whoever is in stays in. It lets a token in as often as it is
shown until it expires, and gives a connected client a new one of ten minutes every few minutes, so that it can reconnect. A
shorter life of ours would win nothing, therefore; that a user who was sent away does not come back by an old token is the
reconciler's work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from livekit.api import AccessToken, VideoGrants

from signaling.livekit.settings import LiveKitSettings
from signaling.ports import MediaAccess

JOIN_S: Final = 600
"""How long a user's token opens the room. Published clients renew it a minute before its end, and misbehave with less than
five (contract 3.8)."""

REQUEST_S: Final = 60

AUDIO_SOURCES: Final = ("microphone",)
VIDEO_SOURCES: Final = ("microphone", "camera", "screen_share", "screen_share_audio")


class Tokens:
    """Signs with the shared key.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, settings: LiveKitSettings, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock

    def join(self, room: str, user_id: str, *, username: str | None, video: bool) -> MediaAccess:
        """What lets one user into one room, to hear and see, and to send sound; and his picture, in a video call."""
        grants = VideoGrants(
            room_join=True,
            room=room,
            can_publish=True,
            can_subscribe=True,
            can_publish_data=False,
            can_publish_sources=list(VIDEO_SOURCES if video else AUDIO_SOURCES),
        )
        # Clients find the participant by the plain user id (contract 5.6).
        token = self._token(grants, JOIN_S).with_identity(user_id).with_name(username or "")
        expires = datetime.fromtimestamp(int(self._clock()) + JOIN_S, UTC)
        return MediaAccess(
            url=self._settings.client_url,
            token=token.to_jwt(),
            expires_at=expires.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        )

    def create(self) -> str:
        """For making and deleting rooms."""
        return self._token(_nothing(room_create=True), REQUEST_S).to_jwt()

    def list(self) -> str:
        """For the names of rooms."""
        return self._token(_nothing(room_list=True), REQUEST_S).to_jwt()

    def admin(self, room: str) -> str:
        """For seeing and sending away who is in this room."""
        return self._token(_nothing(room_admin=True, room=room), REQUEST_S).to_jwt()

    def _token(self, grants: VideoGrants, seconds: int) -> AccessToken:
        token = AccessToken(self._settings.api_key, self._settings.api_secret)
        return token.with_ttl(timedelta(seconds=seconds)).with_grants(grants)


def _nothing(
    *, room_create: bool = False, room_list: bool = False, room_admin: bool = False, room: str = ""
) -> VideoGrants:
    """Grants of a request, without those of a participant, which are given by default."""
    return VideoGrants(
        room_create=room_create or None,
        room_list=room_list or None,
        room_admin=room_admin or None,
        room=room,
        can_publish=False,
        can_subscribe=False,
        can_publish_data=False,
    )
