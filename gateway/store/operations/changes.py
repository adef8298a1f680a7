"""Changing messages that are there."""

from __future__ import annotations

from collections.abc import Callable

from gateway.store import deletions, edits
from gateway.store.operations.base import Operations
from gateway.store.ports import ChangedMessage, MessageEdit, Once


class ChangeOperations(Operations):
    """``gateway.store.ports.Changes`` in SQL."""

    async def edit_message(
        self,
        edit: MessageEdit,
        *,
        then: Callable[[ChangedMessage], None] | None = None,
        once: Once[ChangedMessage] | None = None,
    ) -> ChangedMessage:
        return await self._write(
            edit.tenant_id, lambda db: edits.edit(db, self._rosters, edit, self._clock()), then, once
        )

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
            tenant_id,
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

    async def toggle_reaction(
        self,
        tenant_id: str,
        room_id: str,
        message_id: str,
        *,
        user_id: str,
        emoji: str,
        by_server: bool = False,
        then: Callable[[ChangedMessage], None] | None = None,
        once: Once[ChangedMessage] | None = None,
    ) -> ChangedMessage:
        return await self._write(
            tenant_id,
            lambda db: edits.toggle_reaction(
                db,
                self._rosters,
                tenant_id,
                room_id,
                message_id,
                user_id=user_id,
                emoji=emoji,
                by_server=by_server,
                now=self._clock(),
            ),
            then,
            once,
        )

    async def pin_message(
        self,
        tenant_id: str,
        room_id: str,
        message_id: str,
        *,
        user_id: str | None,
        by_server: bool = False,
        then: Callable[[ChangedMessage], None] | None = None,
        once: Once[ChangedMessage] | None = None,
    ) -> ChangedMessage:
        return await self._write(
            tenant_id,
            lambda db: edits.pin(
                db,
                self._rosters,
                tenant_id,
                room_id,
                message_id,
                user_id=user_id,
                by_server=by_server,
                now=self._clock(),
            ),
            then,
            once,
        )

    async def unpin_message(
        self,
        tenant_id: str,
        room_id: str,
        message_id: str,
        *,
        user_id: str | None,
        by_server: bool = False,
        then: Callable[[ChangedMessage], None] | None = None,
        once: Once[ChangedMessage] | None = None,
    ) -> ChangedMessage:
        return await self._write(
            tenant_id,
            lambda db: edits.unpin(
                db,
                self._rosters,
                tenant_id,
                room_id,
                message_id,
                user_id=user_id,
                by_server=by_server,
                now=self._clock(),
            ),
            then,
            once,
        )
