"""People who write without pause, and devices that must miss nothing of it, whatever is done to the gateways meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from difflib import ndiff
from itertools import cycle

from tests.support.devices import Device, Transports
from tests.support.node import NodeClients
from tests.support.platform import Person
from tests.support.sio import PythonClients


class Traffic:
    """Somebody who writes one message after the other, for the time of the block.

    Attributes:
        sent: the ids of what was acknowledged, in order.
        failures: what was answered otherwise.
    """

    def __init__(self, person: Person, room_id: str, *, again: bool = False) -> None:
        """
        Args:
            again: send what failed once more, as clients do, under the same ``clientMessageId``.
        """
        self.sent: list[str] = []
        self.failures: list[str] = []
        self._person, self._room_id, self._again = person, room_id, again
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic")

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._stopping.wait(0.02):
            number += 1
            try:
                message = self._person.send(self._room_id, str(number), clientMessageId=f"{number}")
            except Exception as error:
                self.failures.append(repr(error))
                number -= self._again
            else:
                self.sent.append(message.id)


class Crowd:
    """Devices of one client's implementation, which come back by themselves: one of each person, of all kinds in turn."""

    def __init__(
        self, clients: NodeClients | PythonClients, people: Sequence[Person], kinds: Sequence[Transports]
    ) -> None:
        self.devices: list[Device] = [
            clients.connect(person.url, auth=person.auth, transports=kind, reconnection=True)
            for person, kind in zip(people, cycle(kinds), strict=False)
        ]
        self._ids = [person.id for person in people]

    def connections(self) -> list[int]:
        return [len(device.inbox.seen("@connected")) for device in self.devices]

    def require_all_of(self, messages: list[str], room_id: str) -> None:
        """Each has been told of each of these, once, in order, as one and the same socket."""
        for device in self.devices:
            device.inbox.take("new-message", id=messages[-1])
            first, *others = device.inbox.seen("@connected")
            assert all(back["recovered"] and back["sid"] == first["sid"] for back in others), [first, *others]
            told = [payload["id"] for payload in device.inbox.seen("new-message", roomId=room_id)]
            difference = [line for line in ndiff(messages, told) if line[0] in "+-"]
            assert told == messages, (difference, device.inbox.story("@connected", "@disconnected"))

    def require_all_while_connected(self, messages: list[str], room_id: str) -> None:
        """Each has been told of these, once, in order, and without a hole while it was connected: a client without recovery
        begins anew, and fetches what was between."""
        for device in self.devices:
            device.inbox.take("new-message", id=messages[-1])
            runs: list[list[str]] = []
            for name, payload in device.inbox.story("@connected", "new-message"):
                if name == "@connected":
                    runs.append([])
                elif payload["roomId"] == room_id:
                    runs[-1].append(payload["id"])
            place = 0
            for run in filter(None, runs):
                start = messages.index(run[0], place)
                place = start + len(run)
                assert run == messages[start:place], list(ndiff(messages[start:place], run))
            assert place == len(messages)

    def require_nobody_was_offline(self) -> None:
        """Nor even was a device turned away when it came back."""
        for device in self.devices:
            gone = {payload["userId"] for payload in device.inbox.seen("tenant-presence", online=False)}
            assert gone.isdisjoint(self._ids)
            assert device.inbox.seen("@refused") == []

    def close(self) -> None:
        for device in self.devices:
            device.close()
