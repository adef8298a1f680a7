"""What the services need from a store; every implementation passes ``tests/store`` unchanged.

Reads see a consistent snapshot; they return at once from a file, and may wait for a server. Writes are queued to a
writer that group-commits: a write returns, and its ``then`` runs, only after the commit that holds it is durable.

``then`` is how effects stay in order and are never lost: it is called on the event loop, synchronously,
once, right after the commit and in the order of its tenant's commits, even when the task that asked for the write has been
cancelled meanwhile. It must not raise and must not wait. It is not called for a write that raised or that
was answered from an idempotency record.
"""

from __future__ import annotations

from typing import Protocol

from gateway.store.ports.accounts import Accounts, TenantCounts, TenantKeys
from gateway.store.ports.changes import ChangedMessage, Changes, MessageEdit
from gateway.store.ports.log import Log
from gateway.store.ports.messages import ForwardDraft, Forwarded, MessageDraft, Messages
from gateway.store.ports.once import Once, Replayed
from gateway.store.ports.participants import Participants, RosterChange
from gateway.store.ports.pending import Pending, Written
from gateway.store.ports.push import AppChange, Push
from gateway.store.ports.revocations import Revocation, Revocations
from gateway.store.ports.rooms import CreatedRoom, NewParticipant, RoomChange, RoomDraft, Rooms
from gateway.store.ports.search import Scope, Search, SearchQuery
from gateway.store.ports.uploads import UploadDraft, Uploads
from signaling.ports import CallStore

__all__ = [
    "Accounts",
    "AppChange",
    "ChangedMessage",
    "Changes",
    "CreatedRoom",
    "ForwardDraft",
    "Forwarded",
    "Log",
    "MessageDraft",
    "MessageEdit",
    "Messages",
    "NewParticipant",
    "Once",
    "Participants",
    "Pending",
    "Push",
    "Replayed",
    "Revocation",
    "Revocations",
    "RoomChange",
    "RoomDraft",
    "Rooms",
    "RosterChange",
    "Scope",
    "Search",
    "SearchQuery",
    "Store",
    "TenantCounts",
    "TenantKeys",
    "UploadDraft",
    "Uploads",
    "Written",
]


class Store(
    Accounts,
    Rooms,
    Participants,
    Messages,
    Changes,
    Log,
    Push,
    Revocations,
    Search,
    Uploads,
    CallStore,
    Protocol,
):
    """Everything that is kept. All ``*_id`` are the tenant's or our own strings; limits are counts of rows.

    Raises (any method): ``Unavailable`` when the store is away or its write queue is full.
    """

    async def is_writable(self) -> bool:
        """Whether the writer can open a transaction now, found out by one that changes nothing."""
        ...

    def is_writing(self) -> bool:
        """Whether something is being written now, and will soon be told to whom it concerns."""
        ...

    def statistics(self) -> dict[str, float]:
        """Counters for ``telemetry``: writes waiting, commits, writes per commit, commit seconds."""
        ...
