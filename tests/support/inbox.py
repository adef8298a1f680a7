"""What one connected client has been told, in order, and waiting for what it is still to be told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from tests.support.contract import check_event, check_offset, check_payload, is_durable

PATIENCE_S = 30.0  # how long anything that must happen may take; only a failing test waits so long


class Inbox:
    """Events of one client, put by its own thread and taken by the test's.

    What happens to the connection itself is recorded under names with an ``@``: ``@connected``, ``@disconnected``,
    ``@upgraded``, ``@pinged``.

    Args:
        apart: the client is one to which offsets are told in an event of their own, behind each durable one.
    """

    def __init__(self, *, apart: bool = False) -> None:
        self._apart = apart
        self._offset_due = self._last = ""
        self._changed = threading.Condition()
        self._all: list[tuple[str, Any]] = []
        self._untaken: list[tuple[str, Any]] = []
        self._faults: list[str] = []

    def put(self, event: str, arguments: list[Any]) -> None:
        """Take note of a server's event; one that breaks the contract is kept as a fault, raised in the test's thread."""
        try:
            payload = self._check_apart(event, *arguments) if self._apart else check_event(event, arguments)
        except AssertionError as error:
            with self._changed:
                self._faults.append(str(error))
                self._changed.notify_all()
        else:
            if payload is not None:
                self.note(event, payload)

    def _check_apart(self, event: str, argument: Any) -> dict[str, Any] | None:
        """The payload; None of the offset itself."""
        due, self._offset_due = self._offset_due, event if is_durable(event) else ""
        if event == "offset":
            assert due or self._last.startswith("call-"), "an offset of nothing"
            check_offset(argument)
            return None
        assert not due, f"{event} came before the offset of {due}"
        self._last = event
        return check_payload(event, argument)

    def note(self, event: str, payload: Any) -> None:
        with self._changed:
            self._all.append((event, payload))
            self._untaken.append((event, payload))
            self._changed.notify_all()

    def take(self, event: str, *, within_s: float = PATIENCE_S, **fields: Any) -> Any:
        """Wait for an event with these values in its payload, and take it: a second ``take`` needs a second event.

        Raises:
            AssertionError: it did not come in time, or something came that breaks the contract.
        """
        return self.take_if(event, lambda payload: _has(payload, fields), within_s=within_s, wanted=fields)

    def take_if(
        self,
        event: str,
        matches: Callable[[Any], bool],
        *,
        within_s: float = PATIENCE_S,
        wanted: object = "a match",
    ) -> Any:
        deadline = time.monotonic() + within_s
        with self._changed:
            while True:
                assert not self._faults, self._faults
                for index, (name, payload) in enumerate(self._untaken):
                    if name == event and matches(payload):
                        del self._untaken[index]
                        return payload
                remaining = deadline - time.monotonic()
                assert remaining > 0, f"no {event} with {wanted} within {within_s} s; there came: {self._all}"
                self._changed.wait(remaining)

    def story(self, *events: str) -> list[tuple[str, Any]]:
        """Everything of these kinds so far, taken or not, in order."""
        with self._changed:
            assert not self._faults, self._faults
            return [(name, payload) for name, payload in self._all if name in events]

    def seen(self, event: str, **fields: Any) -> list[Any]:
        """Everything of this kind so far, taken or not, in order."""
        with self._changed:
            assert not self._faults, self._faults
            return [payload for name, payload in self._all if name == event and _has(payload, fields)]


def _has(payload: Any, fields: dict[str, Any]) -> bool:
    return not fields or (
        isinstance(payload, dict)
        and all(name in payload and payload[name] == fields[name] for name in fields)
    )
