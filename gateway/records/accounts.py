"""Tenants, their apps, their users and their users' devices (contract 3.1, 3.9 to 3.11)."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

Provider: TypeAlias = Literal["FCM", "ONESIGNAL", "PUSHY", "APNS"]
PayloadType: TypeAlias = Literal["FULL", "DATA"]
Settings: TypeAlias = dict[str, dict[str, Any]]


class Tenant(msgspec.Struct, frozen=True):
    """One account: the boundary nothing crosses.

    Attributes:
        signing_secret: HMAC key of this tenant's session tokens, 32 random bytes (contract D1).
        webhook_secret: ``whsec_`` + 48 hex digits.
        settings: only what differs from the defaults, by section (``chat``, ``calls``, ``presence``).
        log_epoch: which log of durable events is this tenant's.
    """

    id: str
    name: str
    signing_secret: bytes
    webhook_secret: str
    webhook_url: str | None
    settings: Settings
    created_at: str
    log_epoch: str


class TenantApp(msgspec.Struct, frozen=True, kw_only=True):
    """One of a tenant's own apps, with the secrets of its push providers (contract 3.11)."""

    id: str
    app_code: str
    name: str
    push_payload_type: PayloadType
    one_signal_config: dict[str, Any] | None
    fcm_config: dict[str, Any] | None
    pushy_config: dict[str, Any] | None
    created_at: str
    updated_at: str

    def __repr__(self) -> str:
        return f"TenantApp(app_code={self.app_code!r})"


class User(msgspec.Struct, frozen=True, rename="camel"):
    """One of the tenant's own users (contract 3.1)."""

    id: str
    username: str
    app_code: str | None
    avatar_url: str | None
    metadata: dict[str, Any] | None
    created_at: str
    updated_at: str


class Person(msgspec.Struct, frozen=True, rename="camel"):
    """What users may see of each other."""

    id: str
    username: str
    avatar_url: str | None


class UserPage(msgspec.Struct, frozen=True, rename="camel"):
    users: list[Person]
    next_cursor: str | None


class Device(msgspec.Struct, frozen=True, rename="camel"):
    """Where a user can be reached by push (contract 3.9)."""

    id: str
    provider: Provider
    token: str
    platform: str | None
    created_at: str
