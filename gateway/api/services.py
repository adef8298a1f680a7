"""Everything a REST handler may call."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.api.auth import Authenticator
from gateway.api.minting import Minter
from gateway.api.revocations import Revocations
from gateway.chat.apps import Apps
from gateway.chat.changes import Changes
from gateway.chat.devices import Devices
from gateway.chat.links import Links
from gateway.chat.messages import Messages
from gateway.chat.participants import Participants
from gateway.chat.receipts import Receipts
from gateway.chat.rooms import Rooms
from gateway.chat.search import Search
from gateway.chat.tenants import Tenants
from gateway.chat.uploads import Uploads
from gateway.chat.users import Users
from signaling.calls import Calls
from signaling.ports import MediaHooks


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services behind the routes, one field each, built once by ``app.py``."""

    authenticator: Authenticator
    minter: Minter
    revocations: Revocations
    users: Users
    devices: Devices
    apps: Apps
    tenants: Tenants
    rooms: Rooms
    participants: Participants
    messages: Messages
    changes: Changes
    receipts: Receipts
    calls: Calls
    uploads: Uploads
    links: Links
    search: Search
    livekit_hooks: MediaHooks | None = None
