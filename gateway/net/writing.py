"""The writing half of the multiplexer: which links have something to write, and the task that writes it.

::

    put on an empty outbox ──▶ marked ──▶ turn ──▶ written, a step at a time
                                  ▲                    │
                                  └─ put meanwhile ────┘

What is put on an outbox whose turn is still to come costs no ``send`` of its own: eight messages under way to a crowd cost
little more than one. So a step is small while something is under way that may join, and at first, when the sender waits
for his answer; else it is large, since a round of the loop costs as much as writing to five. And a crowd's turn begins a
moment later while something is being committed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import trio

from gateway.wire.prepared import Prepared

if TYPE_CHECKING:
    from gateway.net.multiplexer import Multiplexed

STEP = 32
"""Links written before the loop has its turn."""

MOST = 256
"""The same while nothing is under way: about a millisecond of work. More than these are a crowd."""

MOMENT_S = 0.001
"""How long a crowd waits, less than it takes to write it, for what is being committed."""


class Native(Protocol):
    """``_native.Native``, as far as writing needs it."""

    def flush(
        self, turn: list[Multiplexed], most: int
    ) -> list[tuple[Multiplexed, bytes, int] | tuple[Multiplexed, None, int]]:
        """``Multiplexed.flush`` on the last links of ``turn``, up to ``most``, which are taken out of it.

        Returns:
            what is left to Python: links that it has not touched, with None; those that it has written to and that did
            not take all, with the bytes and how many of them were taken, for ``Multiplexed.sent``.
        """
        ...


class Writing:
    """Links whose outbox has something. Bound: one entry per link.

    Args:
        expecting: whether there may soon be more to write, for many links at once.

    Attributes:
        marked: those whose turn comes next. While there are some, the task is awake or about to be woken, and others may be
            added without ``mark``.
    """

    def __init__(self, native: Native | None, expecting: Callable[[], bool]) -> None:
        self.marked: list[Multiplexed] = []
        self._turn: list[Multiplexed] = []  # those that are being written, last first
        self._native = native
        self._expecting = expecting
        self._task: trio.lowlevel.Task | None = None  # parked
        self._held = False
        self._joined_items: list[Prepared] = []
        self._joined = b""

    def mark(self, link: Multiplexed) -> None:
        """This link has something to write: it will be, at the end of the tick."""
        self.marked.append(link)
        if not self._held:
            self._wake()

    def hold(self) -> None:
        """Whoever has something to write may have more in a moment: wake nobody until ``go_on``."""
        self._held = True

    def go_on(self) -> None:
        """Write what has come since ``hold``: at once, or the task does."""
        self._held = False
        if self._turn or self.marked:
            self._flush(STEP)
            if self._turn or self.marked:
                self._wake()

    def hurry(self) -> None:
        """Write at once what has been marked, unless that is for a crowd or others are being written to: so deliveries leave
        before the answers to those who caused them."""
        if self.marked and not self._turn and len(self.marked) <= MOST:
            self._flush(MOST)

    def wire_bytes(self, link: Multiplexed, items: list[Prepared]) -> bytes:
        """``link.wire_bytes(items)``, joined once for all who have the same packets queued, as a crowded room has."""
        if link.deflate:
            return link.wire_bytes(items)
        if link.outbox.apart:
            items = [item.apart for item in items]
        if len(items) == 1:
            return items[0].frame
        if items != self._joined_items:
            self._joined_items = items.copy()
            self._joined = b"".join([item.frame for item in items])
        return self._joined

    async def run(self) -> None:
        """Write for ever."""
        most = STEP
        while True:
            if not (self._turn or self.marked):
                self._task = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(self._abort_wait)
                most = STEP
            if not self._turn and len(self.marked) > MOST and self._expecting():
                await trio.sleep(MOMENT_S)
            self._flush(most)
            if self._turn or self.marked:
                await trio.lowlevel.checkpoint()
                most = STEP if self._expecting() or self.marked else MOST

    def _wake(self) -> None:
        if self._task is not None:
            task, self._task = self._task, None
            trio.lowlevel.reschedule(task)

    def _abort_wait(self, _: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _flush(self, most: int) -> None:
        """Write up to ``most`` of the links that have something."""
        turn = self._turn
        if not turn:
            turn += reversed(self.marked)
            self.marked.clear()
        if self._native is not None:
            self._flush_natively(self._native, most)
            return
        for _ in range(min(most, len(turn))):
            link = turn.pop()
            try:
                link.flush()
            except Exception:
                link.broken()

    def _flush_natively(self, native: Native, most: int) -> None:
        for link, data, sent in native.flush(self._turn, most):
            try:
                if data is None:
                    link.flush()
                else:
                    link.sent(data, sent)
            except Exception:
                link.broken()

    def statistics(self) -> dict[str, int]:
        return {"marked": len(self._turn) + len(self.marked), "native": int(self._native is not None)}
