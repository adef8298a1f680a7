"""A tenant's own apps, each with its push providers."""

from __future__ import annotations

from typing import Any

import msgspec
import uuid_utils

from gateway.errors import Conflict, NotFound
from gateway.records import TenantApp, iso
from gateway.store.connection import Cursor, row, rows
from gateway.store.ports import AppChange

DEFAULT = "default"

_CONFIG = msgspec.json.Decoder(dict[str, Any])
_SELECT = """
    SELECT id, app_code, name, push_payload_type, one_signal_config, fcm_config, pushy_config, created_at,
        updated_at
    FROM tenant_apps WHERE tenant_id = ?
"""


def create_default(db: Cursor, tenant_id: str, now: int) -> None:
    """The app that every tenant has; it bears the tenant's id."""
    db.execute(
        """
        INSERT INTO tenant_apps (id, tenant_id, app_code, name, push_payload_type, created_at, updated_at)
        VALUES (?, ?, ?, 'Default', 'FULL', ?, ?)
        """,
        (tenant_id, tenant_id, DEFAULT, now, now),
    )


def every(db: Cursor, tenant_id: str) -> list[TenantApp]:
    """The apps of a tenant, oldest first."""
    return [_record(found) for found in rows(db, _SELECT + "ORDER BY created_at, id", (tenant_id,))]


def find(db: Cursor, tenant_id: str, app_code: str) -> TenantApp | None:
    """The app of this code."""
    found = row(db, _SELECT + "AND app_code = ?", (tenant_id, app_code))
    return None if found is None else _record(found)


def create(db: Cursor, tenant_id: str, app_code: str, name: str, settings: AppChange, now: int) -> TenantApp:
    """See ``Store.create_app``."""
    if find(db, tenant_id, app_code) is not None:
        raise Conflict("There is an app of this appCode already.", code="app_code_taken")
    db.execute(
        """
        INSERT INTO tenant_apps (id, tenant_id, app_code, name, push_payload_type, created_at, updated_at)
        VALUES (?, ?, ?, ?, 'FULL', ?, ?)
        """,
        (str(uuid_utils.uuid7()), tenant_id, app_code, name, now, now),
    )
    return change(db, tenant_id, app_code, settings, now)


def change(db: Cursor, tenant_id: str, app_code: str, change: AppChange, now: int) -> TenantApp:
    """See ``Store.change_app``."""
    app = _require(db, tenant_id, app_code)
    columns = {
        name: value
        for name in change.__struct_fields__
        if (value := getattr(change, name)) is not msgspec.UNSET
    }
    if columns:
        stored = [
            msgspec.json.encode(value).decode() if isinstance(value, dict) else value
            for value in columns.values()
        ]
        db.execute(
            f"UPDATE tenant_apps SET {', '.join(f'{name} = ?' for name in columns)}, updated_at = ? WHERE id = ?",
            (*stored, now, app.id),
        )
    return _require(db, tenant_id, app_code)


def delete(db: Cursor, tenant_id: str, app_code: str, now: int) -> int:
    """See ``Store.delete_app``."""
    app = _require(db, tenant_id, app_code)
    if app_code == DEFAULT:
        raise Conflict("The default app cannot be deleted.", code="default_app")
    db.execute("DELETE FROM tenant_apps WHERE id = ?", (app.id,))
    db.execute(
        "UPDATE users SET app_code = NULL, updated_at = ? WHERE tenant_id = ? AND app_code = ?",
        (now, tenant_id, app_code),
    )
    return db.connection.changes()


def _require(db: Cursor, tenant_id: str, app_code: str) -> TenantApp:
    app = find(db, tenant_id, app_code)
    if app is None:
        raise NotFound("There is no such app.")
    return app


def _record(found: tuple[Any, ...]) -> TenantApp:
    app_id, app_code, name, payload_type, one_signal, fcm, pushy, created_at, updated_at = found
    return TenantApp(
        id=app_id,
        app_code=app_code,
        name=name,
        push_payload_type=payload_type,
        one_signal_config=_config(one_signal),
        fcm_config=_config(fcm),
        pushy_config=_config(pushy),
        created_at=iso(created_at),
        updated_at=iso(updated_at),
    )


def _config(json: str | None) -> dict[str, Any] | None:
    return None if json is None else _CONFIG.decode(json)
