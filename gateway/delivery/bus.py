"""What the nodes tell each other. The store is the truth; the bus only carries the payload along, and wakes.

Two kinds of message. An ``Envelope`` is an event for users of one tenant; it goes to the nodes that follow the tenant. A
signal is a node's word to all other nodes on a topic (presence, revocation, …), of which the bus knows only the name.

Neither is promised to arrive: a bus may be full or away. Durable events are numbered, so that ``delivery/order`` sees a
gap and fills it from the store; whoever signals repeats itself, and starts afresh ``on_attached``.

One contract suite (``tests/delivery/bus_contract.py``) runs against every implementation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import msgspec
import trio


class Envelope(msgspec.Struct, frozen=True):
    """An event for users of one tenant, wherever they are connected.

    Attributes:
        user_ids: the recipients; whoever changed the data named them.
        payload: one JSON object, encoded once by the sender's node.
        but: a user among the recipients who is not told.
        transient: may be dropped for a client that lags.
        number: the event's place in the tenant's log, counted without holes; 0 if it is not kept there.
        epoch: of the log that ``number`` counts in.
    """

    tenant_id: str
    user_ids: tuple[str, ...]
    event: str
    payload: bytes
    but: str | None = None
    transient: bool = False
    number: int = 0
    epoch: str = ""


Deliver: TypeAlias = Callable[[Envelope], None]
Hear: TypeAlias = Callable[[str, bytes], None]
"""Takes a signal: the node that sent it, and its body."""


class Bus(Protocol):
    """A node's end of the bus.

    What one node sends reaches each other attached node at most once and never the sender itself. The envelopes of a
    tenant come in the order of publishing, signals in the order of signalling; between those there is no order. Handlers
    must not wait or raise.
    """

    @property
    def node_id(self) -> str:
        """Random, new with every start of a node."""
        ...

    @property
    def attached(self) -> bool:
        """Whether messages come and go, as far as this node knows."""
        ...

    def publish(self, envelope: Envelope) -> None:
        """Hand over for the other nodes that follow the tenant. Synchronous: never waits, never raises; bounded, the
        overflow rule is the implementation's and is told in ``statistics``."""
        ...

    def subscribe(self, deliver: Deliver, *, followed: Callable[[str], None]) -> None:
        """Say, once and before ``run``, who takes what the others publish.

        Args:
            followed: told a tenant's id whenever its envelopes begin to arrive, for the first time or again after an
                interruption: whatever was published before may have been missed.
        """
        ...

    def follow(self, tenant_id: str) -> None:
        """Get this tenant's envelopes from now on; ``followed`` says when that holds. An implementation may bring those
        of other tenants too."""
        ...

    def unfollow(self, tenant_id: str) -> None: ...

    def signal(self, topic: str, body: bytes) -> None:
        """Tell every other node. Like ``publish``: never waits, never raises, bounded."""
        ...

    def listen(self, topic: str, hear: Hear) -> None:
        """Say, before ``run``, who takes the signals on a topic: one per topic."""
        ...

    def on_attached(self, call: Callable[[], None]) -> None:
        """Call this whenever the bus has been attached, first or again: signals sent before may have been missed."""
        ...

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send and receive, and never return. Started when it is attached, or has found that it cannot be for now."""
        ...

    async def wait_sent(self) -> None:
        """Until all that was handed over so far has left, or the bus is not attached. For who is about to end ``run``."""
        ...

    def statistics(self) -> dict[str, int]: ...
