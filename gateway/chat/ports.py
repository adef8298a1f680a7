"""What the chat services need from the layers around them, besides the store."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from gateway.records import LogEvent


class Fanout(Protocol):
    """Whoever changes the data names the recipients; this tells every device of each of them."""

    def tell(self, tenant_id: str, event: LogEvent) -> None:
        """Queue an event that has been logged, whether it has recipients or not: each in its turn. Never waits
        and never raises for a recipient.
        """
        ...


class Departures(Protocol):
    """Whoever must look after the calls of rooms that people leave."""

    def left(self, room_id: str) -> None:
        """Somebody is no longer in this room. Never waits and never raises."""
        ...


class Sockets(Protocol):
    """The open connections of users, as far as a change of a roster concerns them."""

    def expel(self, tenant_id: str, user_id: str, room_id: str) -> None:
        """This user is no longer in this room: whichever of his connections has it open leaves it, and stops
        typing in it. Never waits and never raises for a connection.
        """
        ...

    def met(self, tenant_id: str, newcomers: Collection[str], everybody: Collection[str]) -> None:
        """These users share a room now, with the newcomers among them: each may have to learn who of the others is
        online. Never waits and never raises for a connection.
        """
        ...
