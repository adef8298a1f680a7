"""The stores that the contract suite runs against, and a tenant to live in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from gateway.config import StoreSettings
from gateway.records import Message, RoomDetail, RoomSummary, Sent
from gateway.store.engine import open_store
from gateway.store.ports import (
    ForwardDraft,
    MessageDraft,
    MessageEdit,
    NewParticipant,
    RoomDraft,
    RosterChange,
    Store,
)


class Clock:
    """Milliseconds since the epoch, moved by hand.

    Attributes:
        asked: called whenever the store asks for the time, which it does in the midst of writing.
    """

    def __init__(self) -> None:
        self.ms = 1_767_261_600_000
        self.asked: Callable[[], None] = lambda: None

    def __call__(self) -> int:
        self.asked()
        return self.ms


OpenStore: TypeAlias = Callable[[Path, Clock], AbstractAsyncContextManager[Store]]


def open_sqlite(folder: Path, clock: Clock) -> AbstractAsyncContextManager[Store]:
    # Durability has a test of its own; the others need not wait for the disk.
    return open_store(folder / "gateway.db", settings=StoreSettings(synchronous="normal"), clock=clock)


# A further implementation is one more entry here.
STORES = [pytest.param(open_sqlite, id="sqlite")]


class Home:
    """One tenant in a store, and short ways of saying what happens in it."""

    def __init__(self, store: Store, clock: Clock, tenant_id: str) -> None:
        self.store = store
        self.clock = clock
        self.tenant_id = tenant_id

    async def room(self, *user_ids: str, creator_id: str | None = None, **draft: Any) -> RoomDetail:
        created = await self.store.create_room(
            RoomDraft(
                tenant_id=self.tenant_id,
                creator_id=creator_id,
                participants=[NewParticipant(user_id) for user_id in user_ids],
                **draft,
            )
        )
        return created.room

    async def say(self, room_id: str, sender_id: str, text: str = "hello", **draft: Any) -> Message:
        return (await self.send(room_id, sender_id, text, **draft)).message

    async def send(
        self,
        room_id: str,
        sender_id: str,
        text: str = "hello",
        *,
        then: Callable[[Sent], None] | None = None,
        **draft: Any,
    ) -> Sent:
        return await self.store.send_message(self.draft(room_id, sender_id, text, **draft), then=then)

    def draft(self, room_id: str, sender_id: str, text: str = "hello", **draft: Any) -> MessageDraft:
        return MessageDraft(
            tenant_id=self.tenant_id,
            room_id=room_id,
            sender_id=sender_id,
            parts=b'[{"type":"text","text":"%b"}]' % text.encode(),
            preview_text=text,
            **draft,
        )

    async def add(self, room_id: str, user_id: str, **options: Any) -> RosterChange:
        """By the API key, unless there is an ``actor_id``."""
        return await self.store.add_participant(
            self.tenant_id, room_id, NewParticipant(user_id), **{"actor_id": None, **options}
        )

    async def remove(self, room_id: str, user_id: str, **options: Any) -> RosterChange:
        """By the API key, unless there is an ``actor_id``."""
        return await self.store.remove_participant(
            self.tenant_id, room_id, user_id, **{"actor_id": None, **options}
        )

    def edit(self, room_id: str, message_id: str, text: str, *, actor_id: str | None = None) -> MessageEdit:
        said = self.draft(room_id, "", text)
        return MessageEdit(
            tenant_id=self.tenant_id,
            room_id=room_id,
            message_id=message_id,
            actor_id=actor_id,
            parts=said.parts,
            preview_text=said.preview_text,
        )

    def copy(self, room_id: str, message_id: str, user_id: str, *targets: str, **more: Any) -> ForwardDraft:
        return ForwardDraft(
            tenant_id=self.tenant_id,
            room_id=room_id,
            message_id=message_id,
            user_id=user_id,
            target_room_ids=targets,
            **more,
        )

    async def rooms(self, viewer_id: str, **query: Any) -> list[RoomSummary]:
        return (await self.store.rooms_page(self.tenant_id, viewer_id=viewer_id, **query)).rooms

    async def listed(self, room_id: str, viewer_id: str) -> RoomSummary | None:
        """The room as it stands in this user's list."""
        return {room.id: room for room in await self.rooms(viewer_id)}.get(room_id)

    async def unread(self, room_id: str, viewer_id: str) -> int:
        room = await self.store.room(self.tenant_id, room_id, viewer_id=viewer_id)
        assert room is not None
        return room.unread_count

    async def texts(self, room_id: str, viewer_id: str | None) -> list[str | None]:
        """Previews, newest first."""
        page = await self.store.messages_page(self.tenant_id, room_id, viewer_id=viewer_id, limit=100)
        return [message.preview_text for message in page.messages]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=STORES)
def open_any(request: pytest.FixtureRequest) -> OpenStore:
    factory: OpenStore = request.param
    return factory


@pytest.fixture
async def store(open_any: OpenStore, tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    async with open_any(tmp_path, clock) as store:
        yield store


@pytest.fixture
async def home(store: Store, clock: Clock) -> Home:
    return Home(store, clock, (await store.create_tenant("Home")).id)
