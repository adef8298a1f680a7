"""The tenant's users, as far as the gateway knows them (contract 3.1)."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from gateway.errors import NotFound
from gateway.records import User, UserPage
from gateway.store.ports import Once, Store


class Users:
    """What REST offers on users."""

    def __init__(self, *, store: Store) -> None:
        self._store = store

    async def upsert(
        self,
        tenant_id: str,
        user_id: str,
        *,
        username: str | None,
        app_code: str | UnsetType | None = UNSET,
        avatar_url: str | UnsetType | None = UNSET,
        metadata: dict[str, Any] | UnsetType | None = UNSET,
        once: Once[User] | None = None,
    ) -> User:
        """Create the user or update what is given; an ``app_code`` nobody has made is kept all the same."""
        return await self._store.upsert_user(
            tenant_id,
            user_id,
            username=username,
            app_code=app_code,
            avatar_url=avatar_url,
            metadata=metadata,
            once=once,
        )

    async def page(self, tenant_id: str, *, text: str, limit: int, cursor: str | None) -> UserPage:
        """The users with this text in their name, or at the beginning of their id; whatever the case.

        A page may be short, or empty, and yet not the last: it is the cursor that says so.

        Raises:
            InvalidRequest: the cursor is not one of ours.
        """
        return await self._store.users_page(tenant_id, text=text, limit=limit, cursor=cursor)

    async def recognise(
        self, tenant_id: str, user_id: str, *, display_name: str | None, once: Once[User] | None = None
    ) -> User:
        """The user a token is about to be minted for, renamed when a name is given.

        Raises:
            NotFound: nobody has upserted this user (contract D2).
        """
        if display_name is None and once is None:
            user = await self._store.user(tenant_id, user_id)
            if user is None:
                raise NotFound("There is no such user.")
            return user
        return await self._store.upsert_user(
            tenant_id, user_id, username=display_name, must_exist=True, once=once
        )
