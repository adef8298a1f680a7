"""The tenants' own users, as far as their names and pictures are needed here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.errors import NotFound
from gateway.records import Person, User, UserPage, iso
from gateway.store import cursors
from gateway.store.connection import Cursor, row, rows
from gateway.store.ports import NewParticipant

# How many users a search reads for one page, some 2 ms: it is the reader's bound, whatever is searched for.
LOOKED_AT = 2_000

_METADATA = msgspec.json.Decoder(dict[str, Any] | None)


def find(db: Cursor, tenant_id: str, user_id: str) -> User | None:
    """The user of this id."""
    found = row(
        db,
        """
        SELECT id, username, app_code, avatar_url, metadata, created_at, updated_at
        FROM users WHERE tenant_id = ? AND id = ?
        """,
        (tenant_id, user_id),
    )
    if found is None:
        return None
    user_id, username, app_code, avatar_url, metadata, created_at, updated_at = found
    return User(
        id=user_id,
        username=username,
        app_code=app_code,
        avatar_url=avatar_url,
        metadata=None if metadata is None else _METADATA.decode(metadata),
        created_at=iso(created_at),
        updated_at=iso(updated_at),
    )


def page(db: Cursor, tenant_id: str, *, text: str, limit: int, cursor: str | None) -> UserPage:
    """See ``Store.users_page``."""
    after = "" if cursor is None else cursors.user_position(cursor)
    looked_at = rows(
        db,
        "SELECT id, username, avatar_url FROM users WHERE tenant_id = ? AND id > ? ORDER BY id LIMIT ?",
        (tenant_id, after, LOOKED_AT if text else limit + 1),
    )
    wanted = text.casefold()
    found: list[Person] = []
    for number, (user_id, username, avatar_url) in enumerate(looked_at, 1):
        if wanted in username.casefold() or user_id.casefold().startswith(wanted):
            found.append(Person(user_id, username, avatar_url))
            if len(found) == limit:
                more = number < len(looked_at) or number == LOOKED_AT
                return UserPage(found, cursors.after_user(user_id) if more else None)
    more = len(looked_at) == LOOKED_AT
    return UserPage(found, cursors.after_user(looked_at[-1][0]) if more else None)


def upsert(
    db: Cursor,
    tenant_id: str,
    user_id: str,
    *,
    username: str | None,
    app_code: str | msgspec.UnsetType | None,
    avatar_url: str | msgspec.UnsetType | None,
    metadata: dict[str, Any] | msgspec.UnsetType | None,
    must_exist: bool,
    now: int,
) -> User:
    """Create or update; what is UNSET, and a ``username`` of None, stays as it is. Writes nothing if all
    does.

    Raises:
        NotFound: ``must_exist`` and there is no such user.
    """
    before = find(db, tenant_id, user_id)
    if before is None:
        if must_exist:
            raise NotFound("There is no such user.")
        before = User(user_id, user_id, None, None, None, iso(now), iso(now))
        db.execute(
            "INSERT INTO users (tenant_id, id, username, created_at, updated_at) VALUES (?, ?, ?, ?, ?)",
            (tenant_id, user_id, user_id, now, now),
        )
    after = msgspec.structs.replace(
        before,
        username=before.username if username is None else username,
        app_code=before.app_code if app_code is msgspec.UNSET else app_code,
        avatar_url=before.avatar_url if avatar_url is msgspec.UNSET else avatar_url,
        metadata=before.metadata if metadata is msgspec.UNSET else metadata,
    )
    if after == before:
        return before
    db.execute(
        """
        UPDATE users SET username = ?, app_code = ?, avatar_url = ?, metadata = ?, updated_at = ?
        WHERE tenant_id = ? AND id = ?
        """,
        (
            after.username,
            after.app_code,
            after.avatar_url,
            None if after.metadata is None else msgspec.json.encode(after.metadata).decode(),
            now,
            tenant_id,
            user_id,
        ),
    )
    return msgspec.structs.replace(after, updated_at=iso(now))


def ensure(db: Cursor, tenant_id: str, people: Iterable[NewParticipant], now: int) -> None:
    """Create the users among ``people`` that are missing, and rename those whose name is given anew.

    A name equal to the id is what backends send for people they do not know: it never replaces a real one.
    """
    db.executemany(
        """
        INSERT INTO users (tenant_id, id, username, app_code, created_at, updated_at)
        VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT (tenant_id, id) DO UPDATE SET
            username = CASE excluded.username WHEN users.id THEN users.username ELSE excluded.username END,
            app_code = coalesce(excluded.app_code, users.app_code),
            updated_at = excluded.updated_at
        WHERE excluded.username NOT IN (users.id, users.username)
            OR excluded.app_code <> coalesce(users.app_code, '')
        """,
        [(tenant_id, one.id, one.username or one.id, one.app_code, now, now) for one in people],
    )
