"""The SQLite store: the port, over one connection that reads and one that writes.

Reads run inline on the event loop: they are bounded, indexed, and take tens of microseconds, less than any
hand-over to a thread. Writes go through ``writer``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, TypeVar

import apsw
import msgspec
import trio

from gateway.config import StoreSettings
from gateway.errors import Unavailable
from gateway.records import (
    MarkedRead,
    Message,
    MessagePage,
    RoomDetail,
    RoomPage,
    Roster,
    Sent,
    Tenant,
    User,
    now_ms,
)
from gateway.store import (
    deletions,
    idempotency,
    messages,
    participants,
    receipts,
    rooms,
    rosters,
    tenants,
    users,
)
from gateway.store.connection import FAULTS, connect
from gateway.store.migrate import migrate
from gateway.store.ports import (
    ChangedMessage,
    CreatedRoom,
    MessageDraft,
    NewParticipant,
    Once,
    RoomChange,
    RoomDraft,
    RosterChange,
    TenantKeys,
)
from gateway.store.writer import Writer, open_writer

T = TypeVar("T")

# How long the store may take to commit nothing before it counts as not writable.
READY_S = 2.0
# How long the end waits for the last checkpoint; what it leaves undone, the next start finds in the WAL.
CLOSE_S = 10.0


@asynccontextmanager
async def open_store(
    path: Path, *, settings: StoreSettings, clock: Callable[[], int] = now_ms
) -> AsyncIterator[SqliteStore]:
    """The store in the database file at ``path``, which is created or migrated first.

    Leaving the block finishes the queued writes and closes the file.

    Args:
        clock: milliseconds since the epoch.

    Raises:
        apsw.Error: the file cannot be used.
    """
    await trio.to_thread.run_sync(migrate, path)
    kept = rosters.Rosters()
    writes = connect(path, synchronous=settings.synchronous)
    try:
        with closing(connect(path, read_only=True)) as reader:
            async with open_writer(
                writes, waiting_limit=settings.waiting_writes, rolled_back=kept.forget
            ) as writer:
                yield SqliteStore(reader=reader, writer=writer, rosters=kept, clock=clock)
    finally:
        # The last connection to close copies the WAL into the database, which takes a while.
        with trio.move_on_after(CLOSE_S, shield=True):
            await trio.to_thread.run_sync(writes.close, abandon_on_cancel=True)


class SqliteStore:
    """``gateway.store.ports.Store`` in one SQLite file. Made by :func:`open_store`."""

    def __init__(
        self,
        *,
        reader: apsw.Connection,
        writer: Writer,
        rosters: rosters.Rosters,
        clock: Callable[[], int],
    ) -> None:
        self._reader = reader.cursor()
        self._writer = writer
        self._rosters = rosters
        self._clock = clock

    async def _write(
        self,
        job: Callable[[apsw.Cursor], T],
        then: Callable[[T], None] | None = None,
        once: Once[T] | None = None,
    ) -> T:
        if once is None:
            return await self._writer.write(job, then)
        guarded = once
        return await self._writer.write(
            lambda db: idempotency.run_once(db, job, guarded, self._clock()), then
        )

    def _read(self, query: Callable[[apsw.Cursor], T], *, together: bool = False) -> T:
        """Run ``query``; several statements ``together`` see one state, as commits may come between any two."""
        db = self._reader
        try:
            if not together:
                return query(db)
            db.execute("BEGIN")
            try:
                return query(db)
            finally:
                db.execute("COMMIT")
        except FAULTS as error:
            raise Unavailable("The store cannot read now.") from error

    # Tenants and users.

    async def create_tenant(self, name: str) -> TenantKeys:
        return await self._write(lambda db: tenants.create(db, name, self._clock()))

    async def rotate_keys(self, tenant_id: str) -> TenantKeys:
        return await self._write(lambda db: tenants.rotate_keys(db, tenant_id))

    async def tenants(self) -> list[Tenant]:
        return self._read(tenants.every)

    async def tenant(self, tenant_id: str) -> Tenant | None:
        return self._read(lambda db: tenants.find(db, tenant_id))

    async def tenant_by_api_key(self, key_sha256: bytes) -> Tenant | None:
        return self._read(lambda db: tenants.find_by_api_key(db, key_sha256))

    async def update_tenant(
        self,
        tenant_id: str,
        *,
        settings: dict[str, dict[str, Any]],
        webhook_url: str | msgspec.UnsetType | None = msgspec.UNSET,
        then: Callable[[Tenant], None] | None = None,
        once: Once[Tenant] | None = None,
    ) -> Tenant:
        return await self._write(lambda db: tenants.update(db, tenant_id, settings, webhook_url), then, once)

    async def user(self, tenant_id: str, user_id: str) -> User | None:
        return self._read(lambda db: users.find(db, tenant_id, user_id))

    async def upsert_user(
        self,
        tenant_id: str,
        user_id: str,
        *,
        username: str | None,
        app_code: str | msgspec.UnsetType | None = msgspec.UNSET,
        avatar_url: str | msgspec.UnsetType | None = msgspec.UNSET,
        metadata: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET,
        must_exist: bool = False,
        once: Once[User] | None = None,
    ) -> User:
        return await self._write(
            lambda db: users.upsert(
                db,
                tenant_id,
                user_id,
                username=username,
                app_code=app_code,
                avatar_url=avatar_url,
                metadata=metadata,
                must_exist=must_exist,
                now=self._clock(),
            ),
            once=once,
        )

    # Rooms.

    async def rooms_page(
        self,
        tenant_id: str,
        *,
        viewer_id: str | None,
        participant_id: str | None = None,
        external_id: str | None = None,
        custom_types: Sequence[str] = (),
        limit: int = 50,
        cursor: str | None = None,
    ) -> RoomPage:
        return self._read(
            lambda db: rooms.page(
                db,
                tenant_id,
                viewer_id=viewer_id,
                participant_id=participant_id,
                external_id=external_id,
                custom_types=custom_types,
                limit=limit,
                cursor=cursor,
            )
        )

    async def room(self, tenant_id: str, room_id: str, *, viewer_id: str | None) -> RoomDetail | None:
        return self._read(lambda db: rooms.find(db, tenant_id, room_id, viewer_id), together=True)

    async def roster(self, tenant_id: str, room_id: str) -> Roster | None:
        return self._read(lambda db: rosters.find(db, self._rosters, tenant_id, room_id), together=True)

    async def contacts(self, tenant_id: str, user_id: str, *, max_room: int) -> frozenset[str]:
        return self._read(lambda db: rosters.contacts(db, tenant_id, user_id, max_room))

    async def create_room(
        self,
        draft: RoomDraft,
        *,
        then: Callable[[CreatedRoom], None] | None = None,
        once: Once[CreatedRoom] | None = None,
    ) -> CreatedRoom:
        return await self._write(lambda db: rooms.create(db, draft, self._clock()), then, once)

    async def change_room(
        self,
        tenant_id: str,
        room_id: str,
        change: RoomChange,
        *,
        actor_id: str | None,
        then: Callable[[RoomDetail], None] | None = None,
        once: Once[RoomDetail] | None = None,
    ) -> RoomDetail:
        return await self._write(
            lambda db: rooms.change(db, tenant_id, room_id, change, actor_id), then, once
        )

    async def add_participant(
        self,
        tenant_id: str,
        room_id: str,
        person: NewParticipant,
        *,
        actor_id: str | None,
        max_participants: int = 1000,
        then: Callable[[RosterChange], None] | None = None,
        once: Once[RosterChange] | None = None,
    ) -> RosterChange:
        return await self._write(
            lambda db: participants.add(
                db,
                self._rosters,
                tenant_id,
                room_id,
                person,
                actor_id=actor_id,
                max_participants=max_participants,
                now=self._clock(),
            ),
            then,
            once,
        )

    async def remove_participant(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        actor_id: str | None,
        clear: bool = False,
        then: Callable[[RosterChange], None] | None = None,
        once: Once[RosterChange] | None = None,
    ) -> RosterChange:
        return await self._write(
            lambda db: participants.remove(
                db,
                self._rosters,
                tenant_id,
                room_id,
                user_id,
                actor_id=actor_id,
                clear=clear,
                now=self._clock(),
            ),
            then,
            once,
        )

    async def clear_history(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        hide: bool = False,
        then: Callable[[str], None] | None = None,
        once: Once[str] | None = None,
    ) -> str:
        return await self._write(
            lambda db: receipts.clear_history(db, tenant_id, room_id, user_id, hide=hide, now=self._clock()),
            then,
            once,
        )

    # Messages and receipts.

    async def send_message(
        self,
        draft: MessageDraft,
        *,
        then: Callable[[Sent], None] | None = None,
        once: Once[Sent] | None = None,
    ) -> Sent:
        return await self._write(
            lambda db: messages.send(db, self._rosters, draft, self._clock()), then, once
        )

    async def messages_page(
        self,
        tenant_id: str,
        room_id: str,
        *,
        viewer_id: str | None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> MessagePage:
        return self._read(
            lambda db: messages.page(db, tenant_id, room_id, viewer_id=viewer_id, limit=limit, cursor=cursor),
            together=True,
        )

    async def message(self, tenant_id: str, room_id: str, message_id: str) -> Message | None:
        return self._read(lambda db: messages.find(db, tenant_id, room_id, message_id))

    async def delete_message(
        self,
        tenant_id: str,
        room_id: str,
        message_id: str,
        *,
        actor_id: str | None,
        placeholder: str | None,
        then: Callable[[ChangedMessage], None] | None = None,
        once: Once[ChangedMessage] | None = None,
    ) -> ChangedMessage:
        return await self._write(
            lambda db: deletions.delete(
                db,
                self._rosters,
                tenant_id,
                room_id,
                message_id,
                actor_id=actor_id,
                placeholder=placeholder,
                now=self._clock(),
            ),
            then,
            once,
        )

    async def mark_read(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        message_id: str | None,
        then: Callable[[MarkedRead], None] | None = None,
        once: Once[MarkedRead] | None = None,
    ) -> MarkedRead:
        return await self._write(
            lambda db: receipts.mark_read(
                db, self._rosters, tenant_id, room_id, user_id, message_id=message_id, now=self._clock()
            ),
            then,
            once,
        )

    async def is_writable(self) -> bool:
        with trio.move_on_after(READY_S):
            try:
                await self._write(lambda db: None)
            except Unavailable:
                return False
            return True
        return False

    def statistics(self) -> dict[str, float]:
        return self._writer.statistics()
