"""What the services need from a store; every implementation passes ``tests/store`` unchanged.

Reads return at once from a consistent snapshot. Writes are queued to one writer that group-commits: a write
returns, and its ``then`` runs, only after the commit that holds it is durable.

``then`` is how effects stay in order and are never lost: it is called on the event loop, synchronously,
once, right after the commit and in commit order, even when the task that asked for the write has been
cancelled meanwhile. It must not raise and must not wait. It is not called for a write that raised or that
was answered from an idempotency record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from gateway.records import (
    MarkedRead,
    Message,
    MessagePage,
    RoomDetail,
    RoomPage,
    Roster,
    Sent,
    Tenant,
    User,
)

T = TypeVar("T")


class Once(msgspec.Struct, Generic[T], frozen=True):
    """An ``Idempotency-Key`` (contract D5), kept 24 h with the answer it got, in the write's own transaction.

    Attributes:
        tenant_id, credential, key: the scope; ``credential`` is ``"key"`` for the API key, ``"user:<id>"``
            for a JWT.
        fingerprint: hash of method, path and body: the same key with another request is a ``Conflict``.
        answer: makes the (status, body) to keep from the write's result; called inside the transaction.
    """

    tenant_id: str
    credential: str
    key: str
    fingerprint: bytes
    answer: Callable[[T], tuple[int, bytes]]


class Replayed(Exception):
    """The write was done before under the same idempotency key: send this answer, emit nothing."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


class TenantKeys(msgspec.Struct, frozen=True, rename="camel"):
    """Freshly made credentials; the API key is stored only as its SHA-256 and can never be shown again."""

    id: str
    api_key: str
    webhook_secret: str


class NewParticipant(msgspec.Struct, frozen=True):
    id: str
    username: str | None = None
    app_code: str | None = None
    role: str | None = None


class RoomDraft(msgspec.Struct, frozen=True, kw_only=True):
    tenant_id: str
    creator_id: str | None  # the JWT caller, who is added as first participant; None for the API key
    participants: Sequence[NewParticipant]
    name: str | None = None
    avatar_url: str | None = None
    external_id: str | None = None
    custom_type: str | None = None
    metadata: dict[str, Any] | None = None
    is_frozen: bool = False
    max_participants: int = 1000


class CreatedRoom(msgspec.Struct, frozen=True):
    """``created`` is False when ``externalId`` named a room that was there already: returned as it is."""

    room: RoomDetail
    created: bool


class RoomChange(msgspec.Struct, frozen=True, kw_only=True):
    """UNSET leaves a field alone; None clears it."""

    name: str | msgspec.UnsetType | None = msgspec.UNSET
    avatar_url: str | msgspec.UnsetType | None = msgspec.UNSET
    custom_type: str | msgspec.UnsetType | None = msgspec.UNSET
    metadata: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    is_frozen: bool | msgspec.UnsetType = msgspec.UNSET


class MessageDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A message to store: ``parts`` is the JSON array as it will be returned, ``preview_text`` is made from
    it.
    """

    tenant_id: str
    room_id: str
    sender_id: str
    parts: bytes
    preview_text: str | None
    client_message_id: str | None = None
    parent_message_id: str | None = None
    by_server: bool = False  # API key: frozen rooms take it


class RosterChange(msgspec.Struct, frozen=True):
    """What adding or removing a participant came to.

    Attributes:
        room: with the new roster, as the actor sees it; as nobody in particular for who has left.
        changed: False when there was nothing to do.
        recipients: who is to be told: the participants, with the one who joined or was removed; empty when
            nothing changed.
    """

    room: RoomDetail
    changed: bool
    recipients: tuple[str, ...]


class ChangedMessage(msgspec.Struct, frozen=True):
    """A message as it is now; ``recipients`` is empty when nothing changed, which tells nobody."""

    message: Message
    recipients: tuple[str, ...]


class Store(Protocol):
    """Everything that is kept. All ``*_id`` are the tenant's or our own strings; limits are counts of rows.

    Raises (any method): ``Unavailable`` when the store is away or its write queue is full.
    """

    # tenants and users
    async def create_tenant(self, name: str) -> TenantKeys: ...
    async def rotate_keys(self, tenant_id: str) -> TenantKeys: ...
    async def tenants(self) -> list[Tenant]: ...
    async def tenant(self, tenant_id: str) -> Tenant | None: ...
    async def tenant_by_api_key(self, key_sha256: bytes) -> Tenant | None: ...
    async def update_tenant(
        self,
        tenant_id: str,
        *,
        settings: dict[str, dict[str, Any]],
        webhook_url: str | msgspec.UnsetType | None = msgspec.UNSET,
        then: Callable[[Tenant], None] | None = None,
        once: Once[Tenant] | None = None,
    ) -> Tenant:
        """Merge ``settings`` section by section, key by key, into what is stored."""
        ...

    async def user(self, tenant_id: str, user_id: str) -> User | None: ...
    async def upsert_user(
        self,
        tenant_id: str,
        user_id: str,
        *,
        username: str | None,
        app_code: str | msgspec.UnsetType | None = msgspec.UNSET,
        avatar_url: str | msgspec.UnsetType | None = msgspec.UNSET,
        metadata: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET,
        must_exist: bool = False,
        once: Once[User] | None = None,
    ) -> User:
        """Create or update. ``username=None`` keeps the stored name (or takes the id for a new user).

        Raises:
            NotFound: ``must_exist`` and there is no such user.
        """
        ...

    # rooms
    async def rooms_page(
        self,
        tenant_id: str,
        *,
        viewer_id: str | None,
        participant_id: str | None = None,
        external_id: str | None = None,
        custom_types: Sequence[str] = (),
        limit: int = 50,
        cursor: str | None = None,
    ) -> RoomPage:
        """Newest activity first, by one query.

        With a viewer: only rooms the viewer is in and has not hidden, with the viewer's counts. Without (API
        key): all rooms of the tenant; ``participant_id`` narrows them to the rooms this user is in, hidden or
        not, with this user's counts.

        Raises:
            InvalidRequest: the cursor is not one of ours.
        """
        ...

    async def room(self, tenant_id: str, room_id: str, *, viewer_id: str | None) -> RoomDetail | None:
        """With a viewer who is not a participant: None, like an unknown room."""
        ...

    async def roster(self, tenant_id: str, room_id: str) -> Roster | None: ...
    async def contacts(self, tenant_id: str, user_id: str, *, max_room: int) -> frozenset[str]:
        """The users who share a room of at most ``max_room`` participants with this one, itself included."""
        ...

    async def create_room(
        self,
        draft: RoomDraft,
        *,
        then: Callable[[CreatedRoom], None] | None = None,
        once: Once[CreatedRoom] | None = None,
    ) -> CreatedRoom: ...

    async def change_room(
        self,
        tenant_id: str,
        room_id: str,
        change: RoomChange,
        *,
        actor_id: str | None,
        then: Callable[[RoomDetail], None] | None = None,
        once: Once[RoomDetail] | None = None,
    ) -> RoomDetail:
        """``actor_id`` None is the API key.

        Raises:
            NotFound: no such room, or the actor is not in it.
            Forbidden: the actor is not an operator.
        """
        ...

    async def add_participant(
        self,
        tenant_id: str,
        room_id: str,
        person: NewParticipant,
        *,
        actor_id: str | None,
        max_participants: int = 1000,
        then: Callable[[RosterChange], None] | None = None,
        once: Once[RosterChange] | None = None,
    ) -> RosterChange:
        """Let somebody in; an unknown user is created. What was said before counts as read.

        Raises:
            NotFound: no such room, or the actor is not in it.
            Forbidden: the actor is not an operator, or it is a direct conversation (the API key may).
            InvalidRequest: the room is full.
        """
        ...

    async def remove_participant(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        actor_id: str | None,
        clear: bool = False,
        then: Callable[[RosterChange], None] | None = None,
        once: Once[RosterChange] | None = None,
    ) -> RosterChange:
        """Leave (``actor_id`` is the user) or be removed. The last operator to go hands over to the member
        of longest standing. ``clear`` hides the history so far from who goes, should he come back.

        Raises:
            NotFound: no such room, or the actor is not in it.
            Forbidden: the actor is not an operator and removes somebody else.
        """
        ...

    async def clear_history(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        hide: bool = False,
        then: Callable[[str], None] | None = None,
        once: Once[str] | None = None,
    ) -> str:
        """Make what was said so far disappear for this user alone; returns when, in ISO-8601.

        Args:
            hide: the room disappears from his list too, until the next message.

        Raises:
            NotFound: no such room, or the user is not in it.
        """
        ...

    # messages and receipts
    async def send_message(
        self,
        draft: MessageDraft,
        *,
        then: Callable[[Sent], None] | None = None,
        once: Once[Sent] | None = None,
    ) -> Sent:
        """Store one message: membership, idempotency, sequence, unread state and room order in one go.

        Raises:
            NotFound: no such room in this tenant, or the sender is not in it.
            Forbidden: the room is frozen.
            InvalidRequest: the parent message is not in this room.
        """
        ...

    async def messages_page(
        self,
        tenant_id: str,
        room_id: str,
        *,
        viewer_id: str | None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> MessagePage:
        """Newest first.

        Raises:
            NotFound: no such room, or the viewer is not in it.
            InvalidRequest: the cursor is not one of ours.
        """
        ...

    async def message(self, tenant_id: str, room_id: str, message_id: str) -> Message | None: ...

    async def delete_message(
        self,
        tenant_id: str,
        room_id: str,
        message_id: str,
        *,
        actor_id: str | None,
        placeholder: str | None,
        then: Callable[[ChangedMessage], None] | None = None,
        once: Once[ChangedMessage] | None = None,
    ) -> ChangedMessage:
        """Empty a message. ``placeholder`` becomes its preview; None hides it altogether.

        Raises:
            NotFound: no such room or message, or the actor is not in the room.
            Forbidden: the actor is neither the sender nor an operator (the API key, None, may).
        """
        ...

    async def mark_read(
        self,
        tenant_id: str,
        room_id: str,
        user_id: str,
        *,
        message_id: str | None,
        then: Callable[[MarkedRead], None] | None = None,
        once: Once[MarkedRead] | None = None,
    ) -> MarkedRead:
        """Move the mark forward to ``message_id`` (None: to the newest); never back.

        Raises:
            NotFound: no such room, the user is not in it, or the message is not in it.
        """
        ...

    async def is_writable(self) -> bool:
        """Whether the writer can open a transaction now, found out by one that changes nothing."""
        ...

    def statistics(self) -> dict[str, float]:
        """Counters for ``telemetry``: writes waiting, commits, writes per commit, commit seconds."""
        ...
