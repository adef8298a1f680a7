"""One signed-in connection: a user's device, as delivery sees it."""

from __future__ import annotations

from typing import Protocol

from gateway.delivery.outbox import Outbox


class Connection(Protocol):
    """The socket below a session."""

    def disconnect(self) -> None:
        """End the session for good: the client is told and does not come back by itself."""
        ...


class Session:
    """A connected device of one user. Lives exactly as long as its socket.

    Attributes:
        jti: id of the token it connected with (contract D6 tells devices apart by it).
        room_id: the one active room, for room presence.
        typing: rooms in which this connection has said it is typing and has not yet said it stopped.
    """

    __slots__ = ("connection", "jti", "outbox", "room_id", "tenant_id", "typing", "user_id")

    def __init__(
        self, *, tenant_id: str, user_id: str, jti: str, outbox: Outbox, connection: Connection
    ) -> None:
        self.tenant_id = tenant_id
        self.user_id = user_id
        self.jti = jti
        self.outbox = outbox
        self.connection = connection
        self.room_id: str | None = None
        self.typing: frozenset[str] = frozenset()
