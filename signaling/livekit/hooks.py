"""LiveKit's webhooks: is it LiveKit that speaks, and of which room.

LiveKit signs a token over the hash of the body, good for five minutes. A copy that comes again within them, or an event that
comes twice, is nothing to guard against: it makes the reconciler look once more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from livekit.api import TokenVerifier, WebhookReceiver

from signaling.livekit.settings import LiveKitSettings

MOVES: Final = frozenset(
    ("participant_joined", "participant_left", "participant_connection_aborted", "room_finished")
)
"""Events after which somebody is in a room, or is not. Of the others, tracks above all, there are many more."""


class Hooks:
    """``ports.MediaHooks``.

    Args:
        look_soon: is told the names of rooms in which something has moved.
    """

    def __init__(self, settings: LiveKitSettings, *, look_soon: Callable[[str], None]) -> None:
        self._receiver = WebhookReceiver(TokenVerifier(settings.api_key, settings.api_secret))
        self._look_soon = look_soon

    def receive(self, body: bytes, authorization: str) -> bool:
        try:
            event = self._receiver.receive(body.decode(), authorization)
        except Exception:  # the receiver raises bare ones, besides those of its libraries
            return False
        if event.event in MOVES:
            self._look_soon(event.room.name)
        return True
