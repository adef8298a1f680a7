"""Device tokens: where a user can be reached by push."""

from __future__ import annotations

import uuid_utils

from gateway.errors import NotFound
from gateway.records import Device, Provider, iso
from gateway.store import users
from gateway.store.connection import Cursor, row, rows

# A token is refreshed and the old one never told; what is beyond any number of real devices is old.
DEVICES_OF_ONE_USER = 50


def register(
    db: Cursor,
    tenant_id: str,
    user_id: str,
    *,
    provider: Provider,
    token: str,
    platform: str | None,
    now: int,
) -> Device:
    """See ``Store.register_device``."""
    if users.find(db, tenant_id, user_id) is None:
        raise NotFound("There is no such user.")
    found = row(
        db,
        "SELECT id, user_id, created_at FROM device_tokens WHERE tenant_id = ? AND provider = ? AND token = ?",
        (tenant_id, provider, token),
    )
    if found is not None and found[1] == user_id:
        db.execute("UPDATE device_tokens SET platform = ? WHERE id = ?", (platform, found[0]))
        return Device(found[0], provider, token, platform, iso(found[2]))
    if found is not None:  # the device has another user now
        db.execute("DELETE FROM device_tokens WHERE id = ?", (found[0],))
    device_id = str(uuid_utils.uuid7())
    db.execute(
        """
        INSERT INTO device_tokens (id, tenant_id, user_id, provider, token, platform, created_at)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        """,
        (device_id, tenant_id, user_id, provider, token, platform, now),
    )
    db.execute(
        """
        DELETE FROM device_tokens WHERE tenant_id = ? AND user_id = ? AND id NOT IN (
            SELECT id FROM device_tokens WHERE tenant_id = ? AND user_id = ?
            ORDER BY created_at DESC, id DESC LIMIT ?
        )
        """,
        (tenant_id, user_id, tenant_id, user_id, DEVICES_OF_ONE_USER),
    )
    return Device(device_id, provider, token, platform, iso(now))


def forget(db: Cursor, tenant_id: str, user_id: str, token: str) -> bool:
    """See ``Store.forget_device``."""
    db.execute(
        "DELETE FROM device_tokens WHERE tenant_id = ? AND user_id = ? AND token = ?",
        (tenant_id, user_id, token),
    )
    return db.connection.changes() > 0


def every(db: Cursor, tenant_id: str, user_id: str) -> list[Device]:
    """The devices of one user, oldest first."""
    found = rows(
        db,
        """
        SELECT id, provider, token, platform, created_at FROM device_tokens
        WHERE tenant_id = ? AND user_id = ? ORDER BY created_at, id
        """,
        (tenant_id, user_id),
    )
    return [
        Device(device_id, provider, token, platform, iso(created_at))
        for device_id, provider, token, platform, created_at in found
    ]
