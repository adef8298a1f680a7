"""What is kept of what was told, and of the sockets that may come back for it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from gateway.records import LogEvent, LogSpan, Return


class Log(Protocol):
    """The log of durable events, a tenant's at a time (see ``gateway.store.log``).

    The writes of the other parts put their events there; each is in the result of its write, to be told by
    ``then``.
    """

    async def log_span(self, tenant_id: str) -> LogSpan: ...

    async def log_heads(self, tenant_ids: Collection[str]) -> dict[str, int]:
        """The newest number of each of the tenants that there are; one query."""
        ...

    async def events_after(self, tenant_id: str, number: int, *, limit: int) -> list[LogEvent]:
        """The events after this number, in order, every number, for whomever they are. What has been swept is
        left out.
        """
        ...

    async def missed_events(
        self, tenant_id: str, user_id: str, *, after: int, until: int, limit: int
    ) -> list[LogEvent] | None:
        """The events for this user with numbers over ``after`` and up to ``until``, in order; one query. None
        when there are more than ``limit``.
        """
        ...

    async def outdated_logs(self, *, before: int) -> list[str]:
        """The tenants with events, besides their newest, that were logged before this time; one query."""
        ...

    async def sweep_log(self, tenant_id: str, *, before: int, limit: int) -> bool:
        """Forget up to ``limit`` events that were logged before this time, oldest first, but never the newest
        of all. Returns whether there may be more of them.
        """
        ...

    async def returning(self, tenant_id: str, socket_id: str) -> Return:
        """What there is for this socket's client; one query."""
        ...

    async def open_room(
        self,
        tenant_id: str,
        user_id: str,
        socket_id: str,
        room_id: str | None,
        *,
        then: Callable[[None], None] | None = None,
    ) -> None:
        """Note the room that a socket of this user has open from now on, or that it has none.

        Raises:
            NotFound: no such room, or the user is not in it.
        """
        ...

    async def forget_sockets(self, *, before: int, limit: int) -> int:
        """Forget up to ``limit`` sockets whose room was opened before this time; returns how many."""
        ...
