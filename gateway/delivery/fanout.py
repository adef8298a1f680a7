"""From one change to every socket that must hear of it: prepared once, put on each outbox, published once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from gateway.delivery.bus import Bus, Envelope
from gateway.delivery.hub import Hub
from gateway.delivery.native import Native
from gateway.delivery.order import Order
from gateway.delivery.outbox import Outbox
from gateway.delivery.session import Session
from gateway.records import LogEvent
from gateway.wire.prepared import Prepared, prepare_event


class Fanout:
    """Delivery to the recipients that whoever changed the data has named. Synchronous throughout: between "the data has
    changed" and "all are told" nothing else runs, so the order of calls is the order on every wire."""

    def __init__(
        self,
        *,
        hub: Hub,
        bus: Bus,
        shown: Callable[[bytes], bytes] = lambda payload: payload,
        native: Native | None = None,
    ) -> None:
        self._put_all = Outbox.put_all if native is None else native.put_all
        self._hub = hub
        self._shown = shown
        self._bus = bus
        self._taps: list[_Tap] = []  # nearly always empty
        self.order = Order(self._deliver)
        bus.subscribe(self.order.take, followed=self.order.suspect)

    def to_users(
        self,
        tenant_id: str,
        user_ids: Collection[str],
        event: str,
        payload: bytes,
        *,
        but: str | None = None,
        transient: bool = False,
        number: int = 0,
        epoch: str = "",
    ) -> None:
        """Tell every device of these users, on every node.

        Args:
            payload: one JSON object.
            but: a user among them who is not told.
            transient: drop it for clients that lag rather than queue it.
            number, epoch: the event's place in the tenant's log; every number is given here once, in order, even
                if there is nobody to tell.
        """
        envelope = Envelope(tenant_id, tuple(user_ids), event, payload, but, transient, number, epoch)
        self.order.take(envelope)
        self._bus.publish(envelope)

    def tell(self, tenant_id: str, event: LogEvent) -> None:
        """``to_users`` for an event of the log."""
        self.to_users(
            tenant_id, event.user_ids, event.event, event.payload, number=event.number, epoch=event.epoch
        )

    @contextmanager
    def tap(self, tenant_id: str, user_id: str, *, limit: int) -> Iterator[list[Envelope]]:
        """What is delivered of this tenant's log to this user within the block, in order; after one more than ``limit``
        nothing is added."""
        tap = _Tap(tenant_id, user_id, limit)
        self._taps.append(tap)
        try:
            yield tap.taken
        finally:
            self._taps.remove(tap)

    def prepare(self, event: Envelope | LogEvent) -> Prepared:
        """An event as it goes to the sockets."""
        offset = f"{event.epoch}-{event.number}" if event.number else ""
        return prepare_event(event.event, self._shown(event.payload), offset)

    def _deliver(self, envelope: Envelope) -> None:
        for tap in self._taps:
            tap.take(envelope)
        outboxes = self._hub.outboxes_of(envelope.tenant_id, envelope.user_ids, but=envelope.but)
        if not outboxes:
            return
        prepared = self.prepare(envelope)
        if envelope.transient:
            for outbox in outboxes:
                outbox.put_transient(prepared)
        else:
            self._put_all(outboxes, prepared)

    def position(self, tenant_id: str) -> int | None:
        """The number of the last event of this tenant that the sessions here were told; None if it has none."""
        return self.order.position(tenant_id)

    def to_present(self, room_id: str, event: str, payload: bytes, *, but: Session | None = None) -> None:
        """Tell the sessions that have this room open."""
        prepared: Prepared | None = None
        for sessions in self._hub.present(room_id).values():
            for session in sessions:
                if session is but:
                    continue
                if prepared is None:
                    prepared = prepare_event(event, payload)
                session.outbox.put(prepared)

    @staticmethod
    def to_session(session: Session, event: str, payload: bytes) -> None:
        """Tell one connection."""
        session.outbox.put(prepare_event(event, payload))


class _Tap:
    """Takes note of one user's durable events."""

    __slots__ = ("limit", "taken", "tenant_id", "user_id")

    def __init__(self, tenant_id: str, user_id: str, limit: int) -> None:
        self.tenant_id = tenant_id
        self.user_id = user_id
        self.limit = limit
        self.taken: list[Envelope] = []

    def take(self, envelope: Envelope) -> None:
        if (
            envelope.number
            and envelope.tenant_id == self.tenant_id
            and self.user_id in envelope.user_ids
            and len(self.taken) <= self.limit
        ):
            self.taken.append(envelope)
