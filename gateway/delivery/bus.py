"""What the nodes tell each other. The store is the truth; the bus only carries the payload along, and wakes.

One contract suite (``tests/delivery/bus_contract.py``) runs against every implementation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec


class Envelope(msgspec.Struct, frozen=True):
    """An event for users of one tenant, wherever they are connected.

    Attributes:
        user_ids: the recipients; whoever changed the data named them.
        payload: one JSON object, encoded once by the sender's node.
        but: a user among the recipients who is not told.
        transient: may be dropped for a client that lags.
    """

    tenant_id: str
    user_ids: tuple[str, ...]
    event: str
    payload: bytes
    but: str | None = None
    transient: bool = False


class Bus(Protocol):
    """A node's end of the bus.

    Everything one node publishes reaches every other attached node once, in the order of publishing, and never the
    publisher itself.
    """

    def publish(self, envelope: Envelope) -> None:
        """Hand over for the other nodes. Synchronous: never waits, never raises; bounded, the overflow rule is the
        implementation's and is told in ``statistics``."""
        ...

    def subscribe(self, deliver: Callable[[Envelope], None]) -> None:
        """Say, once and before ``run``, who takes what the others publish. ``deliver`` must not wait or raise."""
        ...

    async def run(self) -> None:
        """Receive, and never return."""
        ...

    def statistics(self) -> dict[str, int]: ...
