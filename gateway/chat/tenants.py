"""Tenants: their settings and where their webhooks go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.chat.reading import check
from gateway.chat.settings import CallSettings, ChatSettings, PresenceSettings, TenantSettings, merged
from gateway.config import Presence
from gateway.errors import InvalidRequest
from gateway.records import Settings, Tenant
from gateway.store.ports import Once, Store

SETTINGS_BYTES = 65_536


class SettingsPatch(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The body of a change: what is left out stays as it is."""

    chat: ChatSettings | UnsetType = UNSET
    calls: CallSettings | UnsetType = UNSET
    presence: PresenceSettings | UnsetType = UNSET
    webhook_url: Annotated[str, Meta(max_length=2048)] | UnsetType | None = UNSET


class SettingsView(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Settings as clients read them: defaults with the tenant's own on top. The sections are complete.

    For a session token only ``chat`` and ``calls`` are there (contract 10, row 33).
    """

    chat: dict[str, Any]
    calls: dict[str, Any]
    presence: dict[str, Any] | UnsetType = UNSET
    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    webhook_url: str | UnsetType | None = UNSET
    created_at: str | UnsetType = UNSET


class Tenants:
    """What REST offers on the caller's tenant.

    Args:
        presence: the gateway's own presence settings, which are every tenant's defaults.
        changed: is told the id of a tenant right after a change of it has been committed.
    """

    def __init__(self, *, store: Store, presence: Presence, changed: Callable[[str], None]) -> None:
        self._store = store
        self._changed = changed
        defaults = TenantSettings(
            presence=PresenceSettings(tenant_limit=presence.tenant_limit, scope=presence.scope)
        )
        self._defaults: dict[str, dict[str, Any]] = msgspec.to_builtins(defaults)

    def settings(self, tenant: Tenant) -> TenantSettings:
        """The settings that hold for a tenant, for the code that acts on them."""
        return msgspec.convert(merged(self._defaults, tenant.settings), TenantSettings)

    def view(self, tenant: Tenant, *, for_backend: bool) -> SettingsView:
        """The settings to show; a session token gets what a client needs and nothing else."""
        sections = merged(self._defaults, tenant.settings)
        if not for_backend:
            return SettingsView(chat=sections["chat"], calls=sections["calls"])
        return SettingsView(
            chat=sections["chat"],
            calls=sections["calls"],
            presence=sections["presence"],
            id=tenant.id,
            name=tenant.name,
            webhook_url=tenant.webhook_url,
            created_at=tenant.created_at,
        )

    async def change(
        self, tenant_id: str, patch: dict[str, Any], *, once: Once[Tenant] | None = None
    ) -> Tenant:
        """Lay ``patch`` (the JSON of a ``SettingsPatch``) on what is stored.

        Raises:
            InvalidRequest: a known key has a value it cannot have; the message names the key.
            NotFound: the tenant is gone.
        """
        webhook_url = check(patch, SettingsPatch).webhook_url
        if isinstance(webhook_url, str):
            webhook_url = _webhook_url(webhook_url)
        sections = {section: patch[section] for section in self._defaults.keys() & patch.keys()}

        def changed(stored: Settings) -> Settings:
            settings = merged(stored, sections)
            if len(msgspec.json.encode(settings)) > SETTINGS_BYTES:
                raise InvalidRequest(f"Settings must be at most {SETTINGS_BYTES} bytes of JSON.")
            return settings

        return await self._store.update_tenant(
            tenant_id,
            settings=changed,
            webhook_url=webhook_url,
            then=lambda _: self._changed(tenant_id),
            once=once,
        )


def _webhook_url(url: str) -> str | None:
    """The URL as it will be called; an empty one pauses webhooks, as null does."""
    url = url.strip()
    if not url:
        return None
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or any(character <= " " for character in url):
        raise InvalidRequest("webhookUrl must be an http or https URL, or null.")
    return url
