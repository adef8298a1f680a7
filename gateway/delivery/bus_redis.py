"""The bus between processes and machines: Redis pub/sub, of which nothing is expected but speed.

Every tenant has a channel, to which the nodes subscribe that have users of it; signals have one, to which all do. So a
message costs one publish, however many it is for, and what is published while a batch is on its way goes as one message
more. A tenant's channel lies on one server, also in a cluster, and Redis brings it to everybody in one order.

While Redis is away, slow or wiped, publishing goes nowhere and says so in ``statistics``; durable events are found in the
log (``delivery/following``), and when the bus is back, everybody is told to look there.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterator

import structlog
import trio

from gateway.config import Redis
from gateway.delivery.bus import Deliver, Envelope, Hear
from gateway.delivery.bus_sealed import Batch, Sequences, Unsealed, encode_item, seal, sender, unseal
from gateway.delivery.redis_links import Link, Links, open_links, publish_all

WAITING_BYTES = 33_554_432
"""Most that waits to be published. What waits leaves as soon as what left before has arrived, so that this much gathers only
when Redis has stopped."""

BATCH_BYTES = 262_144
"""About the most that is sealed, sent or opened at a time, so that a flood does not keep the loop busy for long."""

BACK_OFF_S = (0.05, 1.0)
"""Wait before the second attempt to attach, and the longest wait between attempts. Nodes whose Redis came back must not wait
long: until then events come by the look into the log alone."""

PING_S = 2.0
"""How often a quiet link is asked whether it lives."""

IGNORED = ("unknown", "forged", "replayed", "stale")
"""Why a message from the bus is not taken."""

COUNTS = ("published", "dropped", "batches", "received", "attachments", "failed", *IGNORED)

log = structlog.get_logger(__name__)


class RedisBus:
    """A node's end.

    Queue: messages to be published, by channel; unit and bound: ``WAITING_BYTES``; overflow: the newest is dropped and
    counted, as is everything while the bus is not attached.

    Args:
        secret: what all nodes of the installation share, and nobody else has.
    """

    def __init__(self, settings: Redis, *, secret: bytes) -> None:
        self.node_id = secrets.token_hex(8)
        self.attached = False
        self._settings = settings
        self._secret = secret
        self._signals = f"{settings.prefix}:signals".encode()
        self._tenants = f"{settings.prefix}:tenant:".encode()
        self._deliver: Deliver | None = None
        self._followed: Callable[[str], None] | None = None
        self._hear: dict[str, Hear] = {}
        self._on_attached: list[Callable[[], None]] = []
        self._channels = {self._signals}  # those that this node wants to hear
        self._steered: dict[bytes, bool] = {}  # wanted or not any more, and not yet said to Redis
        self._outgoing: dict[bytes, list[bytes]] = {}  # encoded items by channel
        self._outgoing_bytes = 0
        self._work = trio.Event()  # something is in either of the two above
        self._sending = False  # something that was in them is on its way
        self._sent = trio.Event()  # nothing is any more; another one for each time
        self._settled = trio.Event()  # the first attempt has succeeded or failed
        self._away = ""  # why it is
        self._sequence = 0
        self._sequences = Sequences()
        self._counts = dict.fromkeys(COUNTS, 0)

    # the port

    def publish(self, envelope: Envelope) -> None:
        self._counts["published"] += 1
        if self.attached:
            item = (
                envelope.user_ids,
                envelope.event,
                envelope.payload,
                envelope.but,
                envelope.transient,
                envelope.number,
                envelope.epoch,
            )
            self._put(self._tenants + envelope.tenant_id.encode(), encode_item(item))
        else:
            self._counts["dropped"] += 1

    def signal(self, topic: str, body: bytes) -> None:
        if self.attached:
            self._put(self._signals, encode_item((topic, body)))
        else:
            self._counts["dropped"] += 1

    def _put(self, channel: bytes, item: bytes) -> None:
        if self._outgoing_bytes + len(item) > WAITING_BYTES:
            self._counts["dropped"] += 1
            return
        self._outgoing_bytes += len(item)
        items = self._outgoing.get(channel)
        if items is None:
            self._outgoing[channel] = [item]
            self._work.set()
        else:
            items.append(item)

    def subscribe(self, deliver: Deliver, *, followed: Callable[[str], None]) -> None:
        self._deliver = deliver
        self._followed = followed

    def follow(self, tenant_id: str) -> None:
        self._steer(self._tenants + tenant_id.encode(), wanted=True)

    def unfollow(self, tenant_id: str) -> None:
        self._steer(self._tenants + tenant_id.encode(), wanted=False)

    def _steer(self, channel: bytes, *, wanted: bool) -> None:
        (self._channels.add if wanted else self._channels.discard)(channel)
        self._steered[channel] = wanted
        self._work.set()

    def listen(self, topic: str, hear: Hear) -> None:
        self._hear[topic] = hear

    def on_attached(self, call: Callable[[], None]) -> None:
        self._on_attached.append(call)

    async def wait_sent(self) -> None:
        while self.attached and (self._outgoing or self._sending):
            await self._sent.wait()

    def statistics(self) -> dict[str, int]:
        return {
            **self._counts,
            "waiting": sum(map(len, self._outgoing.values())),
            "channels": len(self._channels),
            "attached": int(self.attached),
        }

    # attaching

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_attached)
            await self._settled.wait()
            task_status.started()

    async def _keep_attached(self) -> None:
        wait_s, longest_s = BACK_OFF_S
        while True:
            attachments = self._counts["attachments"]
            try:
                async with open_links(self._settings) as links, trio.open_nursery() as nursery:
                    for link in links.all():
                        nursery.start_soon(link.receive, self._take)
                        nursery.start_soon(self._ping, link)
                    self._steered = dict.fromkeys(self._channels, True)
                    self._work.set()
                    nursery.start_soon(self._send, links)
            except* Exception as errors:
                # The one boundary of the bus: whatever is the matter with Redis, the node goes on without it.
                self._note_away(_first(errors))
            finally:
                self._detach()
            if self._counts["attachments"] > attachments:
                wait_s = BACK_OFF_S[0]
            # Not all nodes in the same moment.
            await trio.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(2 * wait_s, longest_s)

    def _attach(self) -> None:
        self.attached = True
        self._away = ""
        self._counts["attachments"] += 1
        log.info("the bus is attached", channels=len(self._channels))
        self._settled.set()
        for call in self._on_attached:
            call()

    def _note_away(self, error: str) -> None:
        if error != self._away:  # said once, however often it is tried
            self._away = error
            log.warning("the bus is away", error=error)

    def _detach(self) -> None:
        self.attached = False
        self._note_sent()
        self._counts["dropped"] += sum(map(len, self._outgoing.values()))
        self._outgoing.clear()
        self._outgoing_bytes = 0
        self._settled.set()

    # sending

    async def _send(self, links: Links) -> None:
        while True:
            await self._work.wait()
            self._work = trio.Event()
            steered, self._steered = self._steered, {}
            outgoing, self._outgoing = self._outgoing, {}
            self._outgoing_bytes = 0
            self._sending = True
            if steered:
                await self._say_wanted(links, steered)
            if outgoing:
                await self._publish(links, outgoing)
            self._note_sent()

    def _note_sent(self) -> None:
        self._sending = False
        self._sent.set()
        self._sent = trio.Event()

    @staticmethod
    async def _say_wanted(links: Links, steered: dict[bytes, bool]) -> None:
        for link, channels in links.sort(steered).items():
            if wanted := [channel for channel in channels if steered[channel]]:
                await link.subscribe(wanted)
            if unwanted := [channel for channel in channels if not steered[channel]]:
                await link.unsubscribe(unwanted)

    async def _publish(self, links: Links, outgoing: dict[bytes, list[bytes]]) -> None:
        ready: dict[Link, list[tuple[bytes, bytes]]] = {}
        size = 0
        for channel, items in outgoing.items():
            link = links.of(channel)
            for message in self._sealed(channel, items):
                ready.setdefault(link, []).append((channel, message))
                size += len(message)
                if size >= BATCH_BYTES:
                    await publish_all(ready)
                    ready, size = {}, 0
        await publish_all(ready)

    def _sealed(self, channel: bytes, items: list[bytes]) -> Iterator[bytes]:
        start = size = 0
        for end, item in enumerate(items, 1):
            size += len(item)
            if size >= BATCH_BYTES or end == len(items):
                self._sequence += 1
                self._counts["batches"] += 1
                yield seal(
                    self._secret,
                    channel,
                    node_id=self.node_id,
                    sequence=self._sequence,
                    sent_ms=_now_ms(),
                    items=items[start:end],
                )
                start, size = end, 0

    async def _ping(self, link: Link) -> None:
        while True:
            await trio.sleep(PING_S)
            await link.ping()

    # receiving

    def _take(self, channel: bytes, data: bytes | None) -> None:
        if data is None:
            self._note_subscribed(channel)
        elif sender(data) != self.node_id:
            self._open(channel, data)

    def _note_subscribed(self, channel: bytes) -> None:
        if channel == self._signals:
            self._attach()
        elif self._followed is not None:
            self._followed(channel.removeprefix(self._tenants).decode())

    def _open(self, channel: bytes, data: bytes) -> None:
        try:
            batch = unseal(self._secret, channel, data)
            self._sequences.check(channel, batch, now_ms=_now_ms())
        except Unsealed as reason:
            self._counts[str(reason)] += 1
            return
        try:
            if channel == self._signals:
                self._bring_signals(batch)
            else:
                self._bring_envelopes(channel.removeprefix(self._tenants).decode(), batch)
        except Exception:
            # Written by a version that is too far away, or a bug of a handler: this batch is lost, the bus goes on.
            self._counts["failed"] += 1
            log.exception("a batch could not be delivered", node_id=batch.node_id)

    # While nodes are upgraded one by one, those of the next version say more: whatever stands behind what is known here is
    # left alone.

    def _bring_signals(self, batch: Batch) -> None:
        for topic, body, *_ in batch.items:
            if hear := self._hear.get(topic):
                hear(batch.node_id, body)

    def _bring_envelopes(self, tenant_id: str, batch: Batch) -> None:
        if self._deliver is None:
            return
        self._counts["received"] += len(batch.items)
        for users, event, payload, but, transient, number, epoch, *_ in batch.items:
            self._deliver(Envelope(tenant_id, tuple(users), event, payload, but, transient, number, epoch))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _first(errors: BaseExceptionGroup[BaseException]) -> str:
    """One line about the first of the errors at the bottom."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
