"""What delivery asks of the loops in C."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gateway.delivery.outbox import Outbox
from gateway.delivery.session import Session
from gateway.wire.prepared import Prepared


class Native(Protocol):
    """``gateway.net._native.Native`` where it is built; the same as what runs where it is not."""

    def outboxes_of(
        self, users: Mapping[str, tuple[Session, ...]], user_ids: tuple[str, ...], but: str | None
    ) -> list[Outbox]:
        """``Hub.outboxes_of``, among the users of a tenant."""
        ...

    def put_all(self, outboxes: list[Outbox], item: Prepared) -> None:
        """``Outbox.put_all``."""
        ...
