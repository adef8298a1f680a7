"""People in a media room: LiveKit's own client, with a camera and a microphone that send nothing of interest."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from livekit import rtc

T = TypeVar("T")

PATIENCE_S = 30.0


class NotLetIn(Exception):
    """LiveKit has refused the connection."""


class MediaClient:
    """One connection to LiveKit. Its loop is the one of its ``MediaClients``."""

    def __init__(self, clients: MediaClients) -> None:
        self._clients = clients
        self._room = rtc.Room()
        self._changed = threading.Condition()
        self._waiting: list[asyncio.Task[Any]] = []
        self.reason: str | None = None
        for event in ("track_subscribed", "track_unsubscribed", "participant_disconnected"):
            self._room.on(event, self._note)
        self._room.on("disconnected", self._disconnected)

    async def connect(self, url: str, token: str) -> None:
        try:
            await asyncio.wait_for(self._room.connect(url, token), PATIENCE_S)
        except rtc.ConnectError as error:
            raise NotLetIn(str(error)) from error

    @property
    def hears(self) -> set[tuple[str, str]]:
        """What it receives: (who sends, ``audio`` or ``video``)."""
        return {
            (identity, "audio" if publication.kind == rtc.TrackKind.KIND_AUDIO else "video")
            for identity, participant in list(self._room.remote_participants.items())
            for publication in list(participant.track_publications.values())
            if publication.track is not None
        }

    def speak(self) -> None:
        """Publish a microphone; returns when LiveKit has taken it."""
        track = rtc.LocalAudioTrack.create_audio_track("microphone", rtc.AudioSource(48_000, 1))
        self._clients.run(self._publish(track, rtc.TrackSource.SOURCE_MICROPHONE))

    def try_to_show(self) -> None:
        """Ask to publish a camera; a LiveKit that does not allow it never answers."""
        track = rtc.LocalVideoTrack.create_video_track("camera", rtc.VideoSource(320, 240))
        self._clients.run(self._begin(self._publish(track, rtc.TrackSource.SOURCE_CAMERA)))

    async def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._waiting.append(asyncio.create_task(work))

    async def _publish(self, track: Any, source: Any) -> None:
        await self._room.local_participant.publish_track(track, rtc.TrackPublishOptions(source=source))

    def wait_to_hear(self, *wanted: tuple[str, str]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.hears >= set(wanted), PATIENCE_S), self.hears

    def wait_until_out(self, *, within_s: float = PATIENCE_S) -> str:
        """Until LiveKit has ended the connection; the reason it gives."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.reason is not None, within_s), "still in"
        assert self.reason is not None
        return self.reason

    def close(self) -> None:
        self._clients.run(self._close())

    async def _close(self) -> None:
        for task in self._waiting:
            task.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)
        self._waiting.clear()
        await self._room.disconnect()

    def _note(self, *_: object) -> None:
        with self._changed:
            self._changed.notify_all()

    def _disconnected(self, reason: Any) -> None:
        with self._changed:
            self.reason = rtc.DisconnectReason.Name(reason)
            self._changed.notify_all()


class MediaClients:
    """Opens media clients, on one loop in a thread; closing it closes them."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="media clients")
        self._thread.start()
        self._opened: list[MediaClient] = []

    def join(self, url: str, token: str) -> MediaClient:
        """Connect.

        Raises:
            NotLetIn: LiveKit says no.
        """
        return self.run(self._join(url, token))

    async def _join(self, url: str, token: str) -> MediaClient:
        client = MediaClient(self)
        await client.connect(url, token)
        self._opened.append(client)
        return client

    def close(self) -> None:
        for client in self._opened:
            client.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(2 * PATIENCE_S)
