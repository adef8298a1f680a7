"""What signaling needs of the gateway: how a tenant has set calls up, and how its devices are told."""

from __future__ import annotations

from typing import Protocol

from gateway.chat.ports import Fanout
from gateway.chat.settings import CallSettings
from gateway.records import LogEvent
from signaling.events import Notice
from signaling.ports import Changed, Policy


class OtherDevices(Protocol):
    def tell(self, tenant_id: str, user_id: str, jti: str, event: str, payload: bytes) -> None:
        """Tell the user's devices but the one whose token has this ``jti``; none if that one is not connected."""
        ...


class CallAnnouncer:
    """``signaling.ports.Announce``: what the store has put into the log goes out as all durable events do."""

    def __init__(self, *, fanout: Fanout, devices: OtherDevices) -> None:
        self._fanout = fanout
        self._devices = devices

    def changed(self, changed: Changed) -> None:
        tenant_id = changed.call.tenant_id
        for told in changed.told:
            if isinstance(told, LogEvent):
                self._fanout.tell(tenant_id, told)
            elif isinstance(told, Notice) and told.but_device is not None:
                (user_id,) = told.user_ids
                self._devices.tell(tenant_id, user_id, told.but_device, told.event, told.payload)


def policy(settings: CallSettings) -> Policy:
    """A tenant's settings as signaling takes them."""
    return Policy(
        enabled=settings.enabled,
        default_type=settings.default_type,
        max_participants=settings.max_participants,
        ring_s=settings.ring_timeout_seconds,
        creator_end_leaves=settings.creator_end_leaves,
    )
