"""One signed-in connection: a user's device, as delivery sees it."""

from __future__ import annotations

from typing import Protocol

from gateway.delivery.outbox import Outbox
from gateway.delivery.timers import Timer


class Transport(Protocol):
    """What carries a session."""

    def close(self, reason: str) -> None: ...


class Session:
    """A connected device of one user. Lives exactly as long as its socket.

    Attributes:
        sid: its socket's public id, the same again when its client comes back.
        transport: what carries it.
        jti: id of the token it connected with (contract D6 tells devices apart by it).
        issued_at: when that token was made, in seconds since the epoch.
        revoked: the token has been taken back; the session is about to end.
        room_id: the one active room, for room presence.
        typing: rooms in which this connection has said it is typing and has not yet said it stopped, with those who
            were told; None while there are none, which is nearly always.
        expiry: fires when the token ends (D11).
    """

    __slots__ = (
        "expiry",
        "issued_at",
        "jti",
        "outbox",
        "revoked",
        "room_id",
        "sid",
        "tenant_id",
        "transport",
        "typing",
        "user_id",
    )

    def __init__(
        self,
        *,
        tenant_id: str,
        user_id: str,
        jti: str,
        outbox: Outbox,
        issued_at: int = 0,
        sid: str = "",
        transport: Transport | None = None,
    ) -> None:
        self.tenant_id = tenant_id
        self.user_id = user_id
        self.jti = jti
        self.issued_at = issued_at
        self.sid = sid
        self.transport = transport
        self.revoked = False
        self.outbox = outbox
        self.room_id: str | None = None
        self.typing: dict[str, tuple[str, ...]] | None = None
        self.expiry: Timer | None = None
