"""Nodes that clients come back to, the log as it is kept for them, and what such a client knows."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

from gateway.delivery.bus_memory import Exchange
from gateway.delivery.recovery import Recovery
from gateway.delivery.session import Session
from gateway.errors import no_such_room
from gateway.records import LogEvent, LogSpan, Return, Tenant
from tests.delivery.conftest import TENANT, session
from tests.delivery.test_following import Node, Store

HOME = Tenant(TENANT, "Home", b"k" * 32, "whsec_", None, {}, "2026-01-01T00:00:00.000Z", "e")
MOST = 20


class Kept(Store):
    """The log of one tenant as clients that come back find it.

    Attributes:
        floor: events up to this one are swept.
        lost_room: the client's user is no longer in the room that it had open.
        room_id, opened_at: the room that it has open, and since when.
        is_in_room: whether he is in it; opening it says so.
        on_read: called in the midst of reading what was missed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.floor = 0
        self.epoch = "e"
        self.lost_room = False
        self.room_id: str | None = None
        self.opened_at = 0
        self.is_in_room = True
        self.on_read: Callable[[], object] = lambda: None

    async def returning(self, tenant_id: str, socket_id: str) -> Return:
        await self._read("returning")
        span = LogSpan(self.epoch, self.floor, len(self.logs.get(tenant_id, [])))
        return Return(span, self.room_id, self.lost_room, self.opened_at)

    async def missed_events(
        self, tenant_id: str, user_id: str, *, after: int, until: int, limit: int
    ) -> list[LogEvent] | None:
        found = [event for event in self.logs.get(tenant_id, [])[after:until] if user_id in event.user_ids]
        self.on_read()
        await self._read("missed")
        return found if len(found) <= limit else None

    async def open_room(
        self,
        tenant_id: str,
        user_id: str,
        socket_id: str,
        room_id: str | None,
        *,
        then: Callable[[None], None] | None = None,
    ) -> None:
        if not self.is_in_room:
            raise no_such_room()
        self.asked.append(f"open {room_id}")


class Place(Node):
    """A node that clients can come back to."""

    store: Kept

    def __init__(self, exchange: Exchange, store: Kept, *, most_events: int = MOST) -> None:
        super().__init__(exchange, store)
        self.recovery = Recovery(log=store, fanout=self.fanout, most_events=most_events)


class Client:
    """What a published client knows: its pid, its last offset, and what it has been told, by the numbers."""

    def __init__(self, user_id: str = "ann") -> None:
        self.user_id = user_id
        self.pid: str | None = None
        self.offset: str | None = None
        self.began_at = 0
        self.heard: list[int] = []
        self.recovered = False
        self._session: Session | None = None
        self._node: Place | None = None

    async def connect(self, node: Place, *, limit_bytes: int = 100_000) -> None:
        await node.following.attend(TENANT)
        returned = await node.recovery.recover(
            HOME, self.user_id, pid=self.pid, offset=self.offset, limit_bytes=limit_bytes
        )
        self._session, self._node = session(self.user_id), node
        self.recovered = returned is not None
        if returned is None:
            self.pid = node.recovery.pid(HOME, self.user_id, f"sid{random.random()}")
            self.began_at = node.fanout.position(TENANT) or 0
            self.heard.clear()
        else:
            assert returned.pid == self.pid
            for packet in returned.missed:
                self._session.outbox.put(packet)
        node.hub.add(self._session)

    def hear(self, lost: int = 0) -> list[int]:
        """Take what has been sent, but for the last packets, which the network loses."""
        assert self._session is not None
        items = self._session.outbox.take()
        self._session.outbox.size = 0
        for item in items[: len(items) - lost]:
            *_, self.offset = msgspec.json.decode(item.packet[2:])
            assert self.offset is not None
            self.heard.append(int(self.offset.rpartition("-")[2]))
        return self.heard

    def cut(self, *, lost: int = 0) -> None:
        assert self._session is not None
        assert self._node is not None
        self.hear(lost)
        self._node.hub.remove(self._session)
        self._session = None

    @property
    def is_connected(self) -> bool:
        return self._session is not None
