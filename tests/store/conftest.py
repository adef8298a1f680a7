"""The stores that the contract suite runs against, and a tenant to live in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import trio

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
from tests.support.postgresql import Server


class Clock:
    """Milliseconds since the epoch, moved by hand.

    Attributes:
        asked: called whenever the store asks for the time, which it does in the midst of writing, in
            whichever thread that is.
    """

    def __init__(self) -> None:
        self.ms = 1_767_261_600_000
        self.asked: Callable[[], None] = lambda: None

    def __call__(self) -> int:
        self.asked()
        return self.ms


def on_the_loop(call: Callable[[], object]) -> Callable[[], None]:
    """``call``, to be called from any thread, but run on this event loop before that goes on."""
    token = trio.lowlevel.current_trio_token()

    def forwarded() -> None:
        if trio.lowlevel.in_trio_run():
            call()
        else:
            trio.from_thread.run_sync(call, trio_token=token)

    return forwarded


OpenStore: TypeAlias = Callable[[Path, Clock], AbstractAsyncContextManager[Store]]

# Durability has a test of its own; the others need not wait for the disk.
SETTINGS = StoreSettings(synchronous="normal")


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


@pytest.fixture(params=["sqlite", "postgresql"])
def open_any(request: pytest.FixtureRequest) -> Iterator[OpenStore]:
    """Opens the store of a folder, on the first time a new one; a test runs once for each kind."""
    if request.param == "sqlite":
        yield lambda folder, clock: open_store(folder / "gateway.db", settings=SETTINGS, clock=clock)
        return
    server: Server = request.getfixturevalue("postgresql")
    databases: dict[Path, str] = {}
    with ExitStack() as stack:

        def open_postgresql(folder: Path, clock: Clock) -> AbstractAsyncContextManager[Store]:
            if folder not in databases:
                databases[folder] = stack.enter_context(server.database())
            return open_store(databases[folder], settings=SETTINGS, clock=clock)

        yield open_postgresql


@pytest.fixture
async def store(open_any: OpenStore, tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    async with open_any(tmp_path, clock) as store:
        yield store


@pytest.fixture
async def home(store: Store, clock: Clock) -> Home:
    return Home(store, clock, (await store.create_tenant("Home")).id)
