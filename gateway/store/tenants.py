"""Tenants and their credentials."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec
import uuid_utils

from gateway.errors import NotFound
from gateway.records import Settings, Tenant, iso
from gateway.store import apps
from gateway.store.connection import Cursor, row, rows
from gateway.store.ports import TenantCounts, TenantKeys

# In the place of a tenant's id, where what matters is that there is none.
FIRST = "first"

_SELECT = """
    SELECT id, name, signing_secret, webhook_secret, webhook_url, settings, created_at, log_epoch FROM tenants
"""
_SETTINGS = msgspec.json.Decoder(Settings)


def create(db: Cursor, name: str, now: int) -> TenantKeys:
    """A new tenant with fresh credentials."""
    keys = _new_keys(str(uuid_utils.uuid7()))
    db.execute(
        """
        INSERT INTO tenants
            (id, name, api_key_sha256, signing_secret, webhook_secret, created_at, log_epoch)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        """,
        (
            keys.id,
            name,
            _digest(keys.api_key),
            secrets.token_bytes(32),
            keys.webhook_secret,
            now,
            secrets.token_hex(4),
        ),
    )
    apps.create_default(db, keys.id, now)
    return keys


def rotate_keys(db: Cursor, tenant_id: str) -> TenantKeys:
    """New API key and webhook secret, valid at once; session tokens stay good.

    Raises:
        NotFound: no such tenant.
    """
    _require(db, tenant_id)
    keys = _new_keys(tenant_id)
    db.execute(
        "UPDATE tenants SET api_key_sha256 = ?, webhook_secret = ? WHERE id = ?",
        (_digest(keys.api_key), keys.webhook_secret, tenant_id),
    )
    return keys


def rename(db: Cursor, tenant_id: str, name: str) -> None:
    """See ``Store.rename_tenant``."""
    _require(db, tenant_id)
    db.execute("UPDATE tenants SET name = ? WHERE id = ?", (name, tenant_id))


def counts(db: Cursor, tenant_id: str) -> TenantCounts:
    """How much the tenant has; for its operator, as it reads every room."""
    found = row(
        db,
        """
        SELECT (SELECT count(*) FROM users WHERE tenant_id = ?), count(*), cast(coalesce(sum(seq), 0) AS bigint)
        FROM rooms WHERE tenant_id = ?
        """,
        (tenant_id, tenant_id),
    )
    assert found is not None  # an aggregate has one row
    return TenantCounts(*found)


def every(db: Cursor) -> list[Tenant]:
    """All tenants, oldest first."""
    return [_record(found) for found in rows(db, _SELECT + "ORDER BY created_at, id")]


def find(db: Cursor, tenant_id: str) -> Tenant | None:
    """The tenant of this id."""
    found = row(db, _SELECT + "WHERE id = ?", (tenant_id,))
    return None if found is None else _record(found)


def find_by_api_key(db: Cursor, key_sha256: bytes) -> Tenant | None:
    """The tenant whose API key has this SHA-256."""
    found = row(db, _SELECT + "WHERE api_key_sha256 = ?", (key_sha256,))
    return None if found is None else _record(found)


def update(
    db: Cursor,
    tenant_id: str,
    settings: Callable[[Settings], Settings],
    webhook_url: str | msgspec.UnsetType | None,
) -> Tenant:
    """See ``Store.update_tenant``."""
    tenant = _require(db, tenant_id)
    changed = settings(tenant.settings)
    url = tenant.webhook_url if webhook_url is msgspec.UNSET else webhook_url
    db.execute(
        "UPDATE tenants SET settings = ?, webhook_url = ? WHERE id = ?",
        (msgspec.json.encode(changed).decode(), url, tenant_id),
    )
    return msgspec.structs.replace(tenant, settings=changed, webhook_url=url)


def _require(db: Cursor, tenant_id: str) -> Tenant:
    tenant = find(db, tenant_id)
    if tenant is None:
        raise NotFound("There is no such tenant.")
    return tenant


def _new_keys(tenant_id: str) -> TenantKeys:
    return TenantKeys(tenant_id, f"sk_live_{secrets.token_hex(24)}", f"whsec_{secrets.token_hex(24)}")


def _digest(api_key: str) -> bytes:
    # Plain SHA-256: the key is 192 random bits, there is nothing to guess and no need to be slow.
    return sha256(api_key.encode()).digest()


def _record(found: tuple[Any, ...]) -> Tenant:
    tenant_id, name, signing_secret, webhook_secret, webhook_url, settings, created_at, log_epoch = found
    return Tenant(
        id=tenant_id,
        name=name,
        signing_secret=signing_secret,
        webhook_secret=webhook_secret,
        webhook_url=webhook_url,
        settings=_SETTINGS.decode(settings),
        created_at=iso(created_at),
        log_epoch=log_epoch,
    )
