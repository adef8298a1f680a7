"""Tenant apps and device tokens, as far as services cannot show it."""

from __future__ import annotations

import shutil
from pathlib import Path

import apsw
import pytest

from gateway.errors import Conflict
from gateway.store.migrate import MIGRATIONS, migrate
from gateway.store.ports import AppChange

from .conftest import Home


async def test_a_tenant_has_the_default_app_from_the_start(home: Home) -> None:
    assert [app.app_code for app in await home.store.apps(home.tenant_id)] == ["default"]


async def test_a_refused_app_leaves_the_first_as_it_was(home: Home) -> None:
    made = await home.store.create_app(home.tenant_id, "shop", "Shop", AppChange(fcm_config={"a": 1}))

    with pytest.raises(Conflict):
        await home.store.create_app(home.tenant_id, "shop", "Other", AppChange())

    assert await home.store.app(home.tenant_id, "shop") == made


def test_tenants_of_a_database_from_before_get_their_default_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tmp_path / "migrations" / "versions"
    before.mkdir(parents=True)
    for revision in ("r0001_foundation.py", "r0002_messages.py"):
        shutil.copy(MIGRATIONS / "versions" / revision, before)
    path = tmp_path / "gateway.db"
    with monkeypatch.context() as patched:
        patched.setattr("gateway.store.migrate.MIGRATIONS", before.parent)
        assert migrate(path) == ["0001", "0002"]
    db = apsw.Connection(str(path))
    db.execute(
        """
        INSERT INTO tenants (id, name, api_key_sha256, signing_secret, webhook_secret, created_at)
        VALUES ('t1', 'Old', x'00', x'00', 'whsec', 5)
        """
    )

    migrate(path)

    found = db.execute(
        "SELECT tenant_id, app_code, push_payload_type, created_at FROM tenant_apps"
    ).fetchall()
    assert found == [("t1", "default", "FULL", 5)]
